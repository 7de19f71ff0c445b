# ruff: noqa: E501 (tables of patterns read better whole)
r"""What a text must hold before a finder reads it: one cheap columnar pattern (RE2) for each step of redaction.

A gate is wider than its finder, never narrower: a property test compares redaction with and without gates. Gates look
at the folded view, so they need no look-alikes; they use no look-around, ``\b``, ``\\w`` or ``\\s``, which engines read
differently.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc

_AT = "at|ät|a|arroba|chez|et|bei|kukac|zavináč|malpa|małpa|зав|παπάκι|@"
_DOT = "dot|punkt|point|punto|ponto|kropka|punct|tečka|piste|pont"
_STREETS = (
    "stra(?:ß|ss)e|str[.]|gasse|allee|platz|damm|ufer|straat|laan|gracht|plein|steenweg|gatan|vägen|gade|gata|katu|tänav|utca|"
    "weg|út|iela|gatv[eė]|ulica|cesta|street"
)
_ROADS = "rue|avenue|boulevard|bd|chemin|impasse|allée|quai"
_LANES = "Street|Road|Lane|Avenue|Drive|Close|Crescent|Terrace|St|Rd|Ave"
_VIAS = (
    "via|viale|piazza|corso|calle|c/|avenida|av[.]|plaza|rua|travessa|ul[.]?|ulica|ulici|aleja|al[.]|str[.]|strada|bulevardul|"
    "odos|οδός|ул[.]|бул[.]"
)

GATES: dict[str, str] = {
    "urls": r"://|(?i:www[.])|[A-Za-z0-9\-][.][A-Za-z]{2,10}(?::[0-9]+)?[/?#]|"
    r"(?i:[.](?:bsky[.]social|tumblr[.]|blogspot[.]|wordpress[.]|github[.]io|substack[.]|livejournal[.]|deviantart[.]|eth))",
    "emails": rf"@|(?i:[(\[{{<_*]-?(?:{_AT})-?[)\]}}>_*]| (?:{_AT}) [^ ]+ (?:{_DOT}) )",
    "handles": r"@|u/[A-Za-z0-9_\-]{3}|did:|n(?:pub|profile|sec)1|#[0-9]{4}",
    "ibans": r"(?i:[a-z]{2}[ \-]?[0-9]{2}(?:[ .\-]?[a-z0-9]){11})",
    "networks": r"[0-9][.][0-9]{1,3}[.][0-9]|[0-9A-Fa-f]{2}[:\-][0-9A-Fa-f]{2}[:\-][0-9A-Fa-f]{2}[:\-]|:[0-9A-Fa-f]{0,4}:",
    "mixed_ids": r"[0-9]{5}[0-9MGAPLHBZ]|[0-9]{6}[-+A-FU-Y][0-9]{3}|[A-Z]{6}[0-9LMNP-V]{2}|[A-Z]{3} [A-Z]{3} [0-9]{2}|"
    r"[0-9]{2}[.][0-9]{3}[.][0-9]{3}[ \-]?[A-Z]|[A-Z]{2} ?[0-9]{2} ?[0-9]{2} ?[0-9]{2} ?[A-D]|"
    r"[12] ?[0-9]{2} ?[0-9]{2} ?[0-9][0-9AB] ?[0-9]{3} ?[0-9]{3}",
    "plates": r"[A-Z]{2}-[0-9]{3}-[A-Z]{2}|[A-ZÄÖÜ]-[A-ZÖ]{1,2}[ -][1-9]|[A-Z]{2}[0-9]{2} [A-Z]{3}|"
    r"(?i:kennzeichen|nummernschild|kenteken|nummerplade|nummerplaat|plaque|immatricul|targa|matr[ií]cul|rejestrac|tablic|"
    r"registreringsnummer|regnr|rekisterinumero|rendszám|spz|plate|reg[.]? no|рег|номер на кола|πινακίδα|registracij|"
    r"numurzīme|valstybinis)",
    "addresses": rf"(?i:(?:{_STREETS}) [0-9])|[0-9](?: ?(?:bis|ter|[a-zA-Z]))?,? (?i:{_ROADS}) |"
    rf"[0-9](?: ?[a-zA-Z])?,? \p{{L}}[^0-9]* (?:{_LANES})|(?i:(?:{_VIAS}) [^0-9]+[0-9])",
    "numbers": r"(?:[0-9][^0-9\p{L}]*){6}[0-9]",
}
"""Step → RE2 pattern."""


def gate_bits(views: Any) -> npt.NDArray[np.int64]:
    """Return for each text a mask of the steps that must read it, lowest bit first in the order of :data:`GATES`.

    Args:
        views: Arrow string array of folded views.
    """
    bits = np.zeros(len(views), np.int64)
    for place, pattern in enumerate(GATES.values()):
        opened = pc.fill_null(pc.match_substring_regex(views, pattern=pattern), fill_value=False)
        bits |= opened.to_numpy(zero_copy_only=False).astype(np.int64) << place
    return bits


ALL_OPEN = (1 << len(GATES)) - 1
"""Every step reads."""
