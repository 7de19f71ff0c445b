# ruff: noqa: E501 (tables of words read better whole)
"""Words that say what the sign after them is: telephone, identity, plate, postcode; in the languages of the EU, EEA, UK, CH and BR.

Does not judge values. A word counts when it ends at most :data:`REACH` signs before the value and no digit stands between.
In the tables a blank inside a word is ``_``; ``<`` and ``>`` mark a border of a word that must be there.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

REACH = 24
"""Signs between the end of a word and the value, at most."""

PHONE, ID, PLATE, POSTCODE, IBAN = 1, 2, 4, 8, 16
"""What a word may announce, as bits."""

_PHONE = """
<tel phone fon> fono> telefo teléfono téléphone puhelin mobil handy <cell gsm whatsapp whats_app <zap> signal telegram
viber <call <ruf anruf <ring> <ringen appel llama chiam zadzwoń dzwoń volaj hívj hívás sms fax nummer numer número numéro numero number τηλ κιν φαξ тел моб факс
tlf tālr mob sími> símanúmer sīmi fón> fóin celular ligue liga_para wpp komórk komorka ☎ 📞 📱 ☏
"""
_ID = """
<id> <idn <id- ssn passport <pass> reisepass passeport pasaporte passaporto passaporte paszport paspoort pașaport pasaport <passi> passi_num passin pas> cestovní cestovný
putovnic potni_list potn паспорт διαβατηρ διαβατήρ pases útlevél pass_nr passnum pasenumber passnumm passanumur vegabréf <pase> <pasas> <paso> pasa> passaport
ausweis personal identit identidad identidade identiteit identità identitá henkilötodistus osobní_průkaz občansk osobn iskaznic osebna_izkaznica tapatybė
apliecīb лична_карта ταυτότητ ταυτ carte_nationale carta_d'identità bilhete cartão_de_cidadão cartão_cidadão buletin legitima dowód dowod dowodu személyi szemelyi
rijksregister registre_national nationalregister sozialversicherung svnr <sv-nr sécurité_sociale securite_sociale seguridad_social segurança_social security insurance sicherung versicher
steuer tax> tax_ taxid utr> <tin> nif nipc codice fiscal fisc npwp podat <nip> regon vergi daň dič <ico> ičo ičz oib davčn porez <adó> adósz adóazon adóazonosító αφμ α.φ.μ данъ булстат еик skatt skatte virkiloma <vero> verotunnus maksukohust nodokļ mokesč mokestinis moms mva> vsk
<vat> vat_ vatnumber <tva> mwst ust-id ustid umsatzsteuer <uid> <btw> p.iva p._iva partita_iva <iva> piva φπα ддс дду <áfa> <alv> käibemaks <pvm> <pvn> <dph> <ddv> <pdv> <cvr> <kvk> siren siret sirene
matricule matrícula_da cpr bsn pesel rodné rodne rod.č emšo emso cnp> nie> dni> <nino nhs chi_num ppsn pps> isikukood asmens personas henkilö hetu personnummer person-nummer kennitala <kt> fødsels fodsels fnr d-nummer егн λνχ амка αμκα <taj> taj_ <ahv avs> oasi nir> insz niss
karta karte> kort> kortnr kaart licen licens licença licence führerschein fuehrerschein permis patente rijbewijs kørekort korekort førerkort ökuskírtein ajokortti körkort juhiluba juhiloa vadītāja vairuotojo prawo_jazdy prawa_jazdy řidičsk vodičsk vozačk vozniško jogosítvány vezetői δίπλωμα_οδήγησης άδεια_οδήγησης шофьорск свидетелство carnet_de_conducir permiso_de_cond carta_de_cond conduç habilita cnh> driver
account <acc> <kto <blz> bankgiro plusgiro konto <conto> kontonr compte cuenta <conta> conta_ contul rachunek számla účet účtu račun λογαριασμ сметка rekening tilinumero <tili> reikning arvelduskonto saskait agência
kunden customer client cliente klient <kunde> kundnr kundnum klant asiakas ügyfél zákazn πελάτη клиент cliënt member> member_ membership mitglied membre miembro <socio> sócio> czlonk członk medlem <lid> lidnummer jäsen policy polic polizz pólizas póliza apólice ubezpiecz pojist pojišt poist zavarovan osiguran biztosít ασφάλ осигур forsikring försäkring verzekering vakuut kindlustus apdrošin draudim tryggingar assurance assicura seguro> seguros
krankenkass krankenversicherten kvnr gesundheitskarte e-card carte_vitale vitale> tessera_sanitaria sanitari salud> <sus> cartão_sus cartão_nacional utente zdravotn zdrowot zdravstven egészség υγεία здрав sundheds helse hälso terveys tervise veselīb sveikat heilsu saħħa ehic ceam>
<rg> rg_ cpf> cpf_ cnpj> cnpj_ <pis> pasep título_de_eleitor título_eleitor eleitor titulo_eleitor registro_geral inscrição <nis> ctps renavam pix> chave_pix
karta_tal ident> fahrgestell <vin> chassis châssis telaio bastidor imei> <imsi> iccid sort_code bank_acc bankverbindung user_id userid user_no nutzer-id nutzerid kennung usuario_id
"""
_PLATE = """
kennzeichen kontrollschild nummernschild kfz autonummer kenteken nummerplade nummerplaat plaque immatricul targa matrícul matricul rejestrac tablic registreringsnummer registreringsskylt
regnr reg.nr reg.no reg_no reg.nr. rekisterinumero rekisterikilpi rekisteritunnus rendszám forgalmi spz> ecv> evč> ečv> rz> registrační registracij registarsk značka značku poznávací plate> plates plate_ number_plate reg._number рег рег.№ номер_на_кола табел πινακίδα πινακίδ
αριθμός_κυκλοφορίας numurzīm valstybin numeriai> auto_number autonumber reginumber registreerimismärk bílnúmer skráningarnúmer númeraplata bilskilt skilt> kjennemerke skiltnummer bilnummer pjanċa pjanċi numru_tar-reġ placa> placa_ emplacament înmatricul numere_auto număr_auto cláruimhir registration
"""
_POSTCODE = "<cep> <cep: código_postal cód._postal postleitzahl <plz postcode post_code postal_code code_postal"
_IBAN = "iban"


def _entries() -> dict[str, list[tuple[int, bool, bool]]]:
    entries: dict[str, list[tuple[int, bool, bool]]] = {}
    for bit, table in ((PHONE, _PHONE), (ID, _ID), (PLATE, _PLATE), (POSTCODE, _POSTCODE), (IBAN, _IBAN)):
        for one in table.split():
            word = one.strip("<>").replace("_", " ")
            entries.setdefault(word, []).append((bit, one.startswith("<"), one.endswith(">")))
    return entries


_LONGEST = max(map(len, _entries()))
_DIGIT = re.compile("[0-9]")


@lru_cache(maxsize=1)
def _automaton() -> Any:
    import ahocorasick

    automaton = ahocorasick.Automaton()
    for word, meanings in _entries().items():
        automaton.add_word(word, (len(word), tuple(meanings)))
    automaton.make_automaton()
    return automaton


def announced(view: str, place: int) -> int:
    """Return what the words before a place announce, as bits.

    Args:
        view: a folded view.
        place: where the value begins.
    """
    window = view[max(0, place - REACH - _LONGEST - 1) : place]
    digit = _DIGIT.search(window[::-1])
    cut = len(window) - digit.start() if digit else 0
    return _announced(window[cut:].lower())


@lru_cache(maxsize=65_536)
def _announced(window: str) -> int:
    bits = 0
    for last, (size, meanings) in _automaton().iter(window):
        if len(window) - 1 - last > REACH:
            continue
        first = last + 1 - size
        for bit, opens, closes in meanings:
            if opens and first and window[first - 1].isalnum():
                continue
            if closes and last + 1 < len(window) and window[last + 1].isalnum():
                continue
            bits |= bit
    return bits
