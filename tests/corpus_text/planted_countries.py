# ruff: noqa: E501 (tables read better whole)
"""Identifiers of every EU and EEA country, the UK, Switzerland and Brazil, drawn from layouts: # a digit, @ a capital letter.

Layouts are those that the countries publish; values are drawn, so they are nobody's. Words stand as people write them.
"""

from __future__ import annotations

import random

from .planted import NATIONAL, PHONES, Draw

FILL = {
    "AT": ("servus, mein", "ist"), "BE": ("hallo, mijn", "is"), "BG": ("здравейте, моят", "е"), "BR": ("oi gente, meu", "é"),
    "CH": ("hoi zäme, mini", "isch"), "CY": ("γεια, το", "είναι"), "CZ": ("ahoj, moje", "je"), "DE": ("hallo, mein", "ist"), "DK": ("hej, mit", "er"),
    "EE": ("tere, minu", "on"), "ES": ("hola, mi", "es"), "FI": ("moi, minun", "on"), "FR": ("bonjour, mon", "est"), "GB": ("hello, my", "is"),
    "GR": ("γεια, το", "είναι"), "HR": ("bok, moj", "je"), "HU": ("szia, az", "az"), "IE": ("hiya, my", "is"), "IS": ("hæ,", "er"), "IT": ("ciao, il mio", "è"),
    "LI": ("hoi, meine", "ist"), "LT": ("labas, mano", "yra"), "LU": ("moien, mäin", "ass"), "LV": ("sveiki, mans", "ir"), "MT": ("hello, il-", "hija"), "NL": ("hoi, mijn", "is"),
    "NO": ("hei, mitt", "er"), "PL": ("hej, mój", "to"), "PT": ("olá, o meu", "é"), "RO": ("salut,", "este"), "SE": ("hej, mitt", "är"),
    "SI": ("živjo, moj", "je"), "SK": ("ahoj, moje", "je"),
}  # fmt: skip
"""Country → words around an identifier."""

WORDED: dict[str, dict[str, list[tuple[str, str]]]] = {
    "passport": {
        "AT": [("Reisepass", "@#######")], "BE": [("paspoort", "@@######"), ("passeport", "@@######")], "BG": [("паспорт", "#########")], "BR": [("passaporte", "@@######")],
        "CH": [("Reisepass", "@#######"), ("passeport", "@#@####@")], "CY": [("διαβατήριο", "@########")], "CZ": [("cestovní pas", "########")], "DE": [("Reisepassnummer", "@##@##@##")],
        "DK": [("pasnummer", "#########")], "EE": [("passi number", "@@#######")], "ES": [("pasaporte", "@@@######")], "FI": [("passin numero", "@@#######")], "FR": [("passeport", "##@@#####")],
        "GB": [("passport number", "#########")], "GR": [("διαβατήριο", "@@#######")], "HR": [("putovnica", "#########")], "HU": [("útlevélszám", "@@#######")], "IE": [("passport", "@@#######")],
        "IS": [("vegabréf", "@#######")], "IT": [("passaporto", "@@#######")], "LI": [("Reisepass", "@######")], "LT": [("paso numeris", "########")], "LU": [("passeport", "@@@@@###")],
        "LV": [("pases numurs", "@@#######")], "MT": [("passaport", "#######")], "NL": [("paspoortnummer", "@@@#####")], "NO": [("passnummer", "########")], "PL": [("paszport", "@@#######")],
        "PT": [("passaporte", "@@######")], "RO": [("pașaport", "#########")], "SE": [("passnummer", "########")], "SI": [("potni list", "@@#######")], "SK": [("cestovný pas", "@@#######")],
    },
    "driver": {
        "AT": [("Führerschein", "########")], "BE": [("rijbewijs", "##########")], "BG": [("шофьорска книжка", "#########")], "BR": [("CNH", "###########")], "CH": [("Führerausweis", "############")],
        "CY": [("άδεια οδήγησης", "@#######")], "CZ": [("řidičský průkaz", "@@ ######")], "DE": [("Führerschein", "@###@@#@#45")], "DK": [("kørekort", "########")], "EE": [("juhiluba", "@@######")],
        "ES": [("permiso de conducir", "########-@")], "FI": [("ajokortti", "######-###@")], "FR": [("permis de conduire", "############")], "GB": [("driving licence", "@@@@@######@@#@@")], "GR": [("δίπλωμα οδήγησης", "#########")],
        "HR": [("vozačka dozvola", "########")], "HU": [("jogosítvány", "@@######")], "IE": [("driving licence", "#########")], "IS": [("ökuskírteini", "########")], "IT": [("patente", "@#######@"), ("patente", "@#@#####@#")],
        "LI": [("Führerausweis", "#######")], "LT": [("vairuotojo pažymėjimas", "########")], "LU": [("permis de conduire", "#######")], "LV": [("vadītāja apliecība", "@@######")], "MT": [("licenzja tas-sewqan", "########")],
        "NL": [("rijbewijs", "##########")], "NO": [("førerkort", "## ## ###### #")], "PL": [("prawo jazdy", "#####/##/####")], "PT": [("carta de condução", "@@-###### #")], "RO": [("permis auto", "@########@")],
        "SE": [("körkort", "######-####")], "SI": [("vozniško dovoljenje", "#########")], "SK": [("vodičský preukaz", "@#######")],
    },
    "tax": {
        "AT": [("Steuernummer", "## ###/####"), ("UID", "ATU########")], "BE": [("TVA", "BE0###.###.###"), ("btw-nummer", "BE 0### ### ###")], "BG": [("ДДС номер", "BG#########")], "BR": [("CNPJ", "##.###.###/0001-##"), ("CPF", "###.###.###-##")],
        "CH": [("MWST-Nummer", "CHE-###.###.###")], "CY": [("ΑΦΜ", "########@")], "CZ": [("DIČ", "CZ########")], "DE": [("Steuernummer", "##/###/#####"), ("USt-IdNr.", "DE#########")], "DK": [("CVR", "## ## ## ##"), ("momsnummer", "DK########")],
        "EE": [("KMKR", "EE#########")], "ES": [("NIF", "########-@"), ("NIF", "ES@########")], "FI": [("ALV-numero", "FI########"), ("Y-tunnus ja verotunnus", "#######-#")], "FR": [("numéro fiscal", "## ## ### ### ###"), ("TVA", "FR## ### ### ###")],
        "GB": [("UTR", "##### #####"), ("VAT number", "GB ### #### ##")], "GR": [("ΑΦΜ", "#########"), ("ΦΠΑ", "EL#########")], "HR": [("PDV broj", "HR###########")], "HU": [("adószám", "########-#-##"), ("áfa", "HU########")], "IE": [("VAT no", "IE#######@")],
        "IS": [("VSK númer", "IS ######")], "IT": [("partita IVA", "###########"), ("P.IVA", "IT###########")], "LI": [("Steuernummer", "#######")], "LT": [("PVM kodas", "LT#########")], "LU": [("TVA", "LU########")], "LV": [("PVN", "LV###########")],
        "MT": [("VAT number", "MT########")], "NL": [("btw-nummer", "NL#########B##")], "NO": [("skattenummer", "### ### ###"), ("MVA", "NO ### ### ### MVA")], "PL": [("NIP", "###-###-##-##"), ("NIP", "PL##########")], "PT": [("contribuinte NIF", "### ### ###")],
        "RO": [("cod fiscal", "RO########"), ("CUI fiscal", "RO ########")], "SE": [("momsnummer", "SE############")], "SI": [("davčna številka", "SI########")], "SK": [("IČ DPH", "SK##########")],
    },
    "health": {
        "AT": [("e-card", "#### ######")], "BE": [("mutualité assurance", "###-#######-##")], "BG": [("здравна осигуровка", "##########")], "BR": [("cartão SUS", "### #### #### ####")], "CH": [("Versichertenkarte", "80756#############0")],
        "CY": [("κάρτα υγείας", "#########")], "CZ": [("číslo pojištěnce", "##########")], "DE": [("Versichertennummer", "@#########")], "DK": [("sundhedskort", "######-####")], "EE": [("ravikindlustus", "########")], "ES": [("tarjeta sanitaria", "@@@@##########")],
        "FI": [("terveyskortti", "########")], "FR": [("carte vitale", "# ## ## ## ### ### ##")], "GB": [("NHS number", "### ### ####")], "GR": [("κάρτα υγείας", "##########")], "HR": [("zdravstvena iskaznica", "#########")], "HU": [("TAJ szám", "### ### ###")],
        "IE": [("health insurance number", "########")], "IS": [("sjúkratryggingar", "########")], "IT": [("tessera sanitaria", "80380###############")], "LI": [("Krankenversichertennummer", "#########")], "LT": [("sveikatos draudimas", "########")],
        "LU": [("assurance maladie", "#############")], "LV": [("veselības apdrošināšana", "########")], "MT": [("saħħa karta", "#######@")], "NL": [("zorgverzekering", "#########")], "NO": [("helsekort", "###########")], "PL": [("ubezpieczenie zdrowotne", "###########")],
        "PT": [("número de utente", "#########")], "RO": [("asigurări card de sănătate", "################")], "SE": [("sjukförsäkring", "######-####")], "SI": [("zdravstveno zavarovanje", "#########")], "SK": [("zdravotné poistenie", "######/####")],
    },
    "account": {
        "AT": [("Kundennummer", "########")], "BE": [("klantnummer", "########")], "BG": [("клиентски номер", "########")], "BR": [("agência e conta", "####-# / #####-#"), ("chave PIX", "########-1a2b-4c3d-9e8f-############")], "CH": [("Kundennummer", "###-###-##")], "CY": [("λογαριασμός", "###########")],
        "CZ": [("číslo účtu", "##########/####")], "DE": [("Kontonummer", "##########"), ("Mitgliedsnummer", "@@-#######")], "DK": [("kontonummer", "#### ##########")], "EE": [("kliendikonto", "########")], "ES": [("número de cuenta", "#### #### ## ##########")], "FI": [("asiakasnumero", "########")],
        "FR": [("numéro de client", "########"), ("numéro de compte", "#### ####### @")], "GB": [("account number", "########"), ("sort code", "##-##-## ########")], "GR": [("λογαριασμός", "###########")], "HR": [("račun", "##########")], "HU": [("számlaszám", "########-########")], "IE": [("account no", "########")],
        "IS": [("reikningur", "####-##-######")], "IT": [("codice cliente", "########"), ("conto corrente", "############")], "LI": [("Kontonummer", "########")], "LT": [("sąskaitos kliento konto numeris", "########")], "LU": [("compte", "########")], "LV": [("klienta konts numurs", "########")], "MT": [("account", "########")],
        "NL": [("rekeningnummer", "#########")], "NO": [("kontonummer", "####.##.#####")], "PL": [("numer klienta", "########")], "PT": [("conta", "###########")], "RO": [("contul client", "########")], "SE": [("bankkonto", "####-#######")], "SI": [("račun", "#####-##########")], "SK": [("číslo účtu", "##########/####")],
    },
    "plate": {
        "AT": [("Kennzeichen", "W-#####A")], "BE": [("nummerplaat", "1-@@@-###")], "BG": [("регистрационен номер", "СВ ####АК"), ("рег. №", "CB####AB")], "BR": [("placa", "@@@#@##"), ("placa", "@@@-####")], "CH": [("Kontrollschild", "ZH ######")], "CY": [("πινακίδα", "@@@ ###")],
        "CZ": [("SPZ", "1A# ####")], "DE": [("Kennzeichen", "M-XY ####")], "DK": [("nummerplade", "AB ## ###")], "EE": [("reginumber", "### ABC")], "ES": [("matrícula", "#### BCD")], "FI": [("rekisterinumero", "ABC-###")], "FR": [("plaque d'immatriculation", "AB-###-CD")], "GB": [("number plate", "AB## CDE")],
        "GR": [("πινακίδα", "ΥΑΒ-####")], "HR": [("registracija", "ZG ####-AB")], "HU": [("rendszám", "ABC-###"), ("rendszám", "AA BB-###")], "IE": [("reg. no", "##1-D-#####")], "IS": [("bílnúmer", "AB #1#")], "IT": [("targa", "AB ###CD")], "LI": [("Kontrollschild", "FL #####")], "LT": [("valstybinis numeris", "ABC ###")],
        "LU": [("plaque", "AB ####")], "LV": [("numurzīme", "AB-####")], "MT": [("number plate", "ABC ###")], "NL": [("kenteken", "AB-##-CD")], "NO": [("registreringsnummer", "AB #####")], "PL": [("rejestracja", "WA #####"), ("tablice", "KR 1AB##")], "PT": [("matrícula", "AA-##-BB")], "RO": [("numere de înmatriculare", "B ### ABC")],
        "SE": [("registreringsnummer", "ABC ##C")], "SI": [("registracija", "LJ AB-###")], "SK": [("EČV", "BA-###AB")],
    },
}  # fmt: skip
"""Kind → country → word and layout."""

BARE: dict[str, dict[str, list[str]]] = {
    "address": {
        "AT": ["Mariahilfer Straße ##, 1060 Wien", "Hauptgasse ##"], "BE": ["Kerkstraat ##, 9000 Gent", "## rue de la Loi"], "BG": ["ул. Шипка ##", "бул. Витоша ##"], "BR": ["Rua das Flores, ###", "Av. Paulista, 1##8, apto 4#"],
        "CH": ["Bahnhofstrasse ##, 8001 Zürich", "## rue du Rhône"], "CY": ["οδός Λήδρας ##"], "CZ": ["ulice Dlouhá ##", "náměstí Míru ##"], "DE": ["Hauptstraße ##a", "Lindenweg ##"], "DK": ["Nørregade ##", "Vesterbrogade ##"], "EE": ["Narva maantee ##", "Pikk tänav ##"],
        "ES": ["calle Mayor ##", "Avda. de América ##", "avenida de América, ##"], "FI": ["Mannerheimintie ##", "Aleksanterinkatu ##"], "FR": ["## rue de la République", "## bis avenue Foch"], "GB": ["## Baker Street", "## Station Road", "SW1A #AA"], "GR": ["οδός Ερμού ##", "λεωφόρος Συγγρού ##"],
        "HR": ["ulica Ilica ##", "trg Bana ##"], "HU": ["Kossuth utca ##", "Andrássy út ##"], "IE": ["## Main Street", "D0# X2##"], "IS": ["Laugavegur ##", "Austurstræti ##"], "IT": ["via Roma ##", "piazza Garibaldi ##"], "LI": ["Landstrasse ##"], "LT": ["Gedimino gatvė ##", "Vilniaus g. ##"],
        "LU": ["## avenue de la Liberté"], "LV": ["Brīvības iela ##"], "MT": ["## Triq Sant Pawl"], "NL": ["Dorpsstraat ##, 1234 AB Utrecht", "Keizersgracht ###"], "NO": ["Storgata ##", "Kirkeveien ##"], "PL": ["ul. Mickiewicza ##", "aleja Wolności ##"], "PT": ["Rua do Carmo ##", "Travessa da Luz ##"],
        "RO": ["strada Victoriei ##", "bulevardul Unirii nr. ##"], "SE": ["Drottninggatan ##", "Ringvägen ##"], "SI": ["Slovenska cesta ##"], "SK": ["ulica Hlavná ##", "Hlavná ulica ##"],
    },
    "plate": {
        "BE": ["1-@@@-###"], "BR": ["ABC#D##"], "DE": ["B-XY ####"], "FR": ["AB-###-CD"], "GB": ["AB12 CDE"], "HR": ["ZG-####-AB"], "IE": ["##1-D-#####"], "NL": ["GB-###-X"], "PT": ["AA-##-BB"], "RO": ["CJ-##-ABC"],
    },
}  # fmt: skip
"""Kind → country → layouts that are known without a word."""


def drawn(chance: random.Random, layout: str) -> str:
    """Return a layout with its places filled; the first digit after a blank or the start isn't 0."""
    signs: list[str] = []
    for sign in layout:
        first = not signs or not signs[-1].isalnum()
        signs.append(
            chance.choice("123456789" if first else "0123456789")
            if sign == "#"
            else chance.choice("BCDFGHJKLMNPRSTVWXYZ")
            if sign == "@"
            else sign
        )
    return "".join(signs)


def cpf(chance: random.Random) -> str:
    digits = [chance.randrange(10) for _ in range(9)]
    for size in (10, 11):
        digits.append((11 - sum((size - place) * digit for place, digit in enumerate(digits))) % 11 % 10)
    text = "".join(map(str, digits))
    return text if chance.random() < 0.5 else f"{text[:3]}.{text[3:6]}.{text[6:9]}-{text[9:]}"


NATIONALS: dict[str, Draw] = {**NATIONAL, "BR": cpf, "LI": NATIONAL["CH"]}
PHONE_LAYOUTS: dict[str, list[str]] = {
    **{country: list(numbers) for country, numbers in PHONES.items()},
    "BR": ["(11) 9####-####", "11 9####-####", "+55 11 9####-####", "(21) 3###-####", "9####-####", "011 9#### ####"],
    "LI": ["+423 ### ## ##", "+423 ### ####"],
}
