# ruff: noqa: E501 (tables of patterns read better whole)
"""Identifiers of things and places: number plates and postal addresses, told by shape.

Towns alone, buildings and directions in free words are not looked for: no honest pattern knows them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from demur.corpus.redact_patterns import Span

PLATES = (
    r"[A-HJ-NP-TV-Z]{2}-[0-9]{3}-[A-HJ-NP-TV-Z]{2}"  # France since 2009, Italy written alike
    r"|[A-ZÄÖÜ]{1,3}-[A-ZÖ]{1,2}[ -][1-9][0-9]{0,3}[EH]?"  # Germany
    r"|[A-Z]{2}[0-9]{2} [A-Z]{3}"  # United Kingdom
    r"|[A-Z]{3}[0-9][A-J][0-9]{2}"  # Brazil, Mercosul
    r"|[0-9]-[A-HJ-PR-Z]{3}-[0-9]{3}"  # Belgium
    r"|[0-9]{2}-[A-Z]{3}-[0-9]|[0-9]-[A-Z]{3}-[0-9]{2}|[A-Z]{2}-[0-9]{3}-[A-Z]|[A-Z]-[0-9]{3}-[A-Z]{2}|[A-Z]{3}-[0-9]{2}-[A-Z]"  # Netherlands
    r"|[0-9]{2}-[A-Z]{2}-[A-Z]{2}|[A-Z]{2}-[A-Z]{2}-[0-9]{2}|[A-Z]{2}-[0-9]{2}-[A-Z]{2}|[0-9]{2}-[A-Z]{2}-[0-9]{2}"  # Netherlands, Portugal
    r"|[0-9]{2,3}-(?:[CDGLW]|C[ENW]|D[L]|K[EKY]|L[DHKMS]|M[HNO]|OY|RN|SO|T[NS]|W[HWX])-[0-9]{3,6}"  # Ireland
    r"|(?:[BČČDGKMNPRSŠVZ][A-ZČŠŽ])[ -][0-9]{3,4}-[A-Z]{1,2}"  # Croatia
    r"|[A-Z]{2}-[0-9]{2,3}-[A-Z]{3}"  # Romania
    r"|[BKLNSŠTZP][A-Z][ -][0-9]{3}[A-Z]{2}"  # Slovakia
)
"""Shapes that hardly mean anything else; all other plates go after a word for plate only (``redact_numbers.worded``)."""
_PLATE_SHAPES = re.compile(rf"(?<![\w\-])(?:{PLATES})(?![\w\-])")
_NAME = r"[^\W\d_a-zß-öø-ÿ][^\W\d_]*(?:[ \-'’.](?:[^\W\d_]{1,3}[ '’.])?[^\W\d_a-z][^\W\d_]+){0,3}"
_HOUSE = (
    r"[0-9]{1,4}(?: ?[a-zA-Z](?![\w]))?(?:[/\-][0-9]{1,4}[a-zA-Z]?)?(?![\w%€$£:]|[.,][0-9]| ?(?:%|€|EUR|km|kg|Uhr))"
)
_LINK = r",?(?: (?:nr|n[.°º]|no|nº|č\.?p\.?|бр|№)\.?)? "
_END = (
    r"(?: ?[a-zA-ZÄ-ž]?)(?:,? (?:apto?|apartamento|bl|bloco|lgh|lej|Top|App?|piso|kv|кв|ap|et|sc|bl)\.? ?[0-9A-Z]{1,4})*"
    r"(?:,? (?:[A-Z]{1,2}-)?[0-9]{2,5}(?:[ -][0-9]{2,3})?(?: [A-Z]{2})? [^\W\d_a-zß-öø-ÿ][^\W\d_]+(?:[ -][^\W\d_a-zß-öø-ÿ][^\W\d_]+)?)?"
)
_TAILS = (
    "stra(?:ß|ss)e|str\\.|gasse|allee|platz|damm|ufer|weg|ring|straat|laan|gracht|plein|steenweg|kade|dreef|singel|gatan|vägen|gränd|gade|vej|allé|gata|gate|gaten|veien|"
    "vegen|katu|tie|kuja|polku|tänav|maantee|utca|vegur|stræti"
)
_AFTER_NAME = (
    "Straße|Strasse|Str\\.|Allee|Platz|Weg|utca|út|útja|tér|körút|iela|prospekts|gatvė|gatve|g\\.|pr\\.|prospektas|ulica|cesta|nábřeží|náměstí|tänav|tn|"
    "pst|mnt|puiestee|katu|tie|Straat|Laan|Street|gatan|gade|vej|gate"
)
_BEFORE_NAME = (
    "[Vv]ia|[Vv]iale|[Pp]iazza|[Cc]orso|[Vv]icolo|[Ll]argo|[Cc]alle|[Cc]/|[Cc]arrer|[Aa]venida|[Aa]v\\.|[Pp]laza|[Pp]aseo|[Rr]ua|R\\.|[Tt]ravessa|[Aa]lameda|[Pp]raça|[Rr]odovia|[Ee]strada|"
    "[Uu]l\\.|[Uu]lica|[Uu]lici|ul|ulicy|[Aa]leja|[Aa]l\\.|[Pp]lac|[Oo]siedle|os\\.|[Ss]tr\\.|[Ss]trada|[Bb]ulevardul|[Bb]d\\.|[Cc]alea|[Aa]leea|[Ss]oseaua|[Șș]oseaua|[Oo]dos|[Οο]δός|[Οο]δού|[Λλ]εωφόρος|[Λλ]εωφ\\.|"
    "[Уу]л\\.|улица|[Бб]ул\\.|булевард|[Жж]\\.к\\.|[Tt]riq|[Ss]qaq|[Tt]rg|[Uu]lice|[Nn]áměstí|[Nn]ám\\.|[Nn]ámestie|[Tt]řída|[Cc]esta|[Cc]esti"
)
_LITTLE = r"(?:(?:de la|de las|de los|de l'|de|del|della|delle|dei|degli|do|da|dos|das|di|il-|is-|tas-|San|св\.|Св\.|sv\.|Ag\.|gen\.|Dr\.?) ?)?"
_ADDRESS = re.compile(
    rf"(?:[^\W\d_]{{2,}}(?:{_TAILS}) {_HOUSE}{_END}"
    rf"|(?<!\w)[^\W\d_a-zß-öø-ÿ][\w\-]+ (?:{_AFTER_NAME}) {_HOUSE}{_END}"
    rf"|(?<![\w])[0-9]{{1,4}}(?: ?(?:bis|ter|[a-zA-Z]))?,? (?:(?i:rue|avenue|boulevard|bd|chemin|impasse|allée|quai|place|route|cours|Triq) {_LITTLE}{_NAME}"
    rf"|{_NAME} (?:Street|Road|Lane|Avenue|Drive|Close|Crescent|Terrace|Court|Gardens|Grove|Hill|Way|Place|Square|Mews|St|Rd|Ave|Ln|Dr))(?!\w)"
    rf"(?:,? [^\W\d_a-zß-öø-ÿ][^\W\d_]+)?(?:,? [0-9]{{4,5}} [^\W\d_a-z][^\W\d_]+)?"
    rf"|(?<![\w])(?:{_BEFORE_NAME}) {_LITTLE}{_NAME}{_LINK}{_HOUSE}{_END}"
    r"|(?<!\w)(?i:Postfach|P\. ?O\. ?Box|PO Box|B\.?P\.?|Boîte postale|Casella postale|Apartado(?: de correos)?|Caixa postal|Skrytka pocztowa|Postbus|Postboks|"
    r"Postafiók|Pf\.|Poštový priečinok|Poštanski pretinac|Poštni predal|Θυρίδα|Τ\.Θ\.|Пощенска кутия|п\.к\.|Căsuța poștală|Kaxxa Postali|Pósthólf) [0-9]{2,6}(?![\w.,]?[0-9]))"
)
_POSTCODES = re.compile(
    r"(?<![\w\-])(?:(?:GIR 0AA|[A-PR-UWYZ](?:[0-9]{1,2}|[A-HK-Y][0-9]{1,2}|[0-9][A-HJKPSTUW]|[A-HK-Y][0-9][ABEHMNPRVWXY]) [0-9][ABD-HJLNP-UW-Z]{2})"
    r"|(?:[AC-FHKNPRTV-Y][0-9]{2}|D6W) [0-9AC-FHKNPRTV-Y]{4}(?<! [A-Z]{4}))(?![\w\-])"
)
"""British postcodes (about fifteen houses) and Irish Eircodes (one house)."""

STREETS = "|".join(
    (
        f"(?:{_TAILS}) [0-9]",
        f" (?:{_AFTER_NAME}) [0-9]",
        r"[0-9](?: ?(?:bis|ter|[a-zA-Z]))?,? (?:rue|avenue|boulevard|bd|chemin|impasse|allée|quai|place|route|cours|triq) ",
        r"[0-9](?: ?[a-zA-Z])?,? \p{L}[^0-9]* (?:street|road|lane|avenue|drive|close|crescent|terrace|court|gardens|grove|hill|way|place|square|mews|st|rd|ave|ln|dr)",
        f"(?:{_BEFORE_NAME}) [^0-9]+[0-9]",
        r"(?:postfach|box|b[.]?p[.]?|postale|apartado(?: de correos)?|postal|pocztowa|postbus|postboks|postafiók|pf[.]|priečinok|pretinac|predal|θυρίδα|τ[.]θ[.]|кутия|п[.]к[.]|poștală|postali|pósthólf) [0-9]",
        r"[A-Z][0-9][0-9A-Z]? [0-9][A-Z][A-Z]|[A-Z][A-Z][0-9][0-9A-Z]? [0-9][A-Z][A-Z]|(?:[A-Z][0-9][0-9]|D6W) [0-9A-Z][0-9A-Z][0-9A-Z][0-9A-Z]",
    )
)
"""What a text must hold before it is read for addresses (RE2, case folded)."""


def plates(view: str) -> Iterator[Span]:
    """Find number plates in national shapes that hardly mean anything else."""
    for match in _PLATE_SHAPES.finditer(view):
        yield match.start(), match.end(), "PLATE"


def addresses(view: str) -> Iterator[Span]:
    """Find streets with a house number, post boxes, and postcodes that stand for a few houses; towns alone stay."""
    for pattern in (_ADDRESS, _POSTCODES):
        for match in pattern.finditer(view):
            yield match.start(), match.end(), "ADDRESS"
