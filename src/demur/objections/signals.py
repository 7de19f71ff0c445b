"""Standard signals as objections, and the signals that an objector's pages should send to everybody else (OBJ-10).

Inward: a record or flag that says no to training is a person's no. Unknown never becomes a no here either: only an
explicit refusal counts. Outward: what the platform puts on the pages of those who objected. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from demur.clock import parse

AT_DECLARATION = "org.user-intents.declaration"
"""Collection of the AT protocol's user intents (Bluesky proposal 0008, a draft)."""
AT_TRAINING = ("syntheticContentGeneration",)
"""Its intents that mean training; ``bulkDataset`` and the others say something else."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """An explicit no that a signal carried."""

    said_at: datetime | None
    """When the signal was set; ``None`` = it does not say."""


def read_at_declaration(record: Mapping[str, Any]) -> Refusal | None:
    """Return the no in an AT-protocol declaration; ``None`` when it allows, says nothing, or is another record.

    >>> no = {"$type": "org.user-intents.declaration", "syntheticContentGeneration": {"allow": False}}
    >>> read_at_declaration(no)
    Refusal(said_at=None)
    >>> read_at_declaration({**no, "syntheticContentGeneration": {}}) is None
    True
    """
    if record.get("$type", AT_DECLARATION) != AT_DECLARATION:
        return None
    for name in AT_TRAINING:
        intent = record.get(name)
        if isinstance(intent, Mapping) and intent.get("allow") is False:
            return Refusal(_instant(intent.get("updatedAt")) or _instant(record.get("updatedAt")))
    return None


def _instant(value: Any) -> datetime | None:
    try:
        return parse(value) if isinstance(value, str) else None
    except (ValueError, OverflowError):
        return None


def says_no(headers: Mapping[str, str]) -> bool:
    """Return whether a request carries ``Sec-GPC: 1`` (W3C draft, section 3.2: the value is the one digit).

    >>> says_no({"sec-gpc": "1"}), says_no({"sec-gpc": "0"}), says_no({})
    (True, False, False)
    """
    return headers.get("sec-gpc") == "1"


OUTWARD_HEADERS: Mapping[str, str] = {
    "Content-Usage": "train-ai=n",
    "tdm-reservation": "1",
    "X-Robots-Tag": "noai, noimageai",
}
"""For every page of an objector: IETF AIPREF (draft), TDMRep (W3C CG), and the older ``noai``."""
OUTWARD_META: Mapping[str, str] = {"tdm-reservation": "1", "robots": "noai, noimageai"}
"""The same as ``<meta name content>``, where headers cannot be set."""
