"""What left the house: who got it, whether it may still be used, and that they were told when it may not (TPD-09).

An export may be used as long as the version stands here that it was made from. An erasure or an expiry that destroys it
ends that. Each event is a file of its own, written once: ``exports/<number>/``; the ledger has them too. Who is written
to, and when: ``flows.recall``.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from demur.clock import iso, parse
from demur.errors import InputError
from demur.flows.parts import Parts, current
from demur.i18n import LAST, phrase_languages
from demur.ledger import Entry, EntryKind
from demur.notice.addresses import mailbox
from demur.store import Workspace, read_json, write_json
from demur.store.links import LinkPurpose, Links
from demur.terms.site import Site

_GIVEN, _OVER, _DESTROYED = "given.json", "over.json", "destroyed.json"
_MOST_NAME = 200
_NAMED = re.compile(r"([^<>]*)<([^<>]*)>\s*")


class ExportState(StrEnum):
    """How an export stands."""

    IN_USE = "in_use"
    """The version that it was made from stands here."""
    OVER = "over"
    """That version was destroyed; nobody has said that the export is."""
    DESTROYED = "destroyed"
    """Somebody has said so."""


@dataclass(frozen=True, slots=True)
class Recipient:
    """Who got an export."""

    name: str
    address: str = ""
    """Mail address; empty = somebody here tells them."""
    language: str = LAST


@dataclass(frozen=True, slots=True)
class Given:
    """One export, with what became of it."""

    number: int
    what: str
    """``corpus`` or ``decisions``."""
    digest: str
    corpus: str
    """Id of the corpus that it is of."""
    at: datetime
    recipient: Recipient | None
    """``None`` = nobody was named."""
    over_at: datetime | None
    told_at: tuple[datetime, ...]
    destroyed_at: datetime | None
    destroyed_by: str | None

    @property
    def reference(self) -> str:
        """What people call it by."""
        return f"X-{self.number:05d}"

    @property
    def state(self) -> ExportState:
        """How it stands."""
        if self.destroyed_at is not None:
            return ExportState.DESTROYED
        return ExportState.IN_USE if self.over_at is None else ExportState.OVER

    def as_json(self) -> dict[str, Any]:
        """Return the plain form."""
        return {
            "reference": self.reference, "state": self.state.value, "what": self.what, "digest": self.digest,
            "corpus": self.corpus, "at": iso(self.at), "recipient": self.recipient and asdict(self.recipient),
            "over_at": self.over_at and iso(self.over_at), "told_at": list(map(iso, self.told_at)),
            "destroyed_at": self.destroyed_at and iso(self.destroyed_at), "destroyed_by": self.destroyed_by,
        }  # fmt: skip


def recipient_of(text: str, language: str = LAST) -> Recipient:
    """Return a recipient: ``Acme Labs <data@acme.example>``, an address, or a name alone.

    Raises:
        InputError: nothing of that is there, or the address can stand in no mail.
    """
    named = _NAMED.fullmatch(text)
    name, address = (named[1], named[2]) if named else ("", text.strip()) if "@" in text else (text, "")
    name = " ".join(name.split())[:_MOST_NAME]
    if not (name or address) or (address and isinstance(mailbox(address), str)):
        raise InputError('expected a recipient as "Name <address>", found none or an address that no mail reaches')
    if language not in phrase_languages():
        raise InputError(f"expected a language of {', '.join(phrase_languages())}, found another; choose one of these")
    return Recipient(name or address, address, language)


def give(parts: Parts, *, what: str, digest: str, corpus: str, at: datetime, to: Recipient | None) -> Given:
    """Note an export before it appears: at worst what is told of has never left. One command at a time."""
    folder = _folder(parts.workspace)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    number = max((int(one.name) for one in folder.iterdir() if one.name.isdecimal()), default=0) + 1
    place = _place(parts.workspace, number)
    place.mkdir(mode=0o700)
    facts = {"what": what, "digest": digest, "corpus": corpus, "at": iso(at), "recipient": to and asdict(to)}
    write_json(place / _GIVEN, facts)
    return _read(place)


def exports(workspace: Workspace) -> list[Given]:
    """Return everything that left, oldest first."""
    folder = _folder(workspace)
    found = sorted(folder.glob(f"*/{_GIVEN}")) if folder.is_dir() else []
    return [_read(path.parent) for path in found]


def export(workspace: Workspace, number: int) -> Given | None:
    """Return one export by its number."""
    folder = _place(workspace, number)
    return _read(folder) if (folder / _GIVEN).is_file() else None


def by_reference(workspace: Workspace, reference: str) -> Given:
    """Return one export by its reference.

    Raises:
        InputError: there is none.
    """
    head, _, digits = reference.strip().upper().partition("-")
    found = export(workspace, int(digits)) if head == "X" and digits.isdecimal() and len(digits) < 10 else None
    if found is None:
        raise InputError("expected the reference of an export, as X-00001, found none; see `demur corpus exports`")
    return found


def destroyed(parts: Parts, one: Given, *, by: str, at: datetime) -> Given:
    """Note that a recipient destroyed an export, once; their address is not kept any longer."""
    folder = _place(parts.workspace, one.number)
    if one.destroyed_at is None:
        _log(parts, one, "destroyed", at)
        write_json(folder / _DESTROYED, {"at": iso(at), "by": " ".join(by.split())[:_MOST_NAME]})
    if one.recipient is not None and one.recipient.address:
        write_json(folder / _GIVEN, _fact(folder / _GIVEN) | {"recipient": asdict(replace(one.recipient, address=""))})
    return _read(folder)


def link(one: Given, site: Site, links: Links) -> str:
    """Return where a recipient sees how an export stands, and says that it is destroyed."""
    return f"{site.origin}/export/{links.token(LinkPurpose.EXPORT, one.number)}"


def standing(one: Given, workspace: Workspace) -> dict[str, Any]:
    """Return how an export stands, for whoever has its link: no word on who else got what."""
    used = one.state is ExportState.IN_USE
    names = ("reference", "state", "what", "digest", "corpus", "at", "over_at", "destroyed_at")
    facts = {name: value for name, value in one.as_json().items() if name in names}
    return {**facts, "may_be_used": used, "replaced_by": None if used else current(workspace).corpus}


def seen(parts: Parts, one: Given, at: datetime) -> Given:
    """Return an export as it stands now: over, if what it was made from stands here no more."""
    stands = (parts.workspace.corpora / one.corpus / "manifest.json").is_file()
    ended = one.state is ExportState.IN_USE and not stands
    return replace(one, over_at=at) if ended else one


def over(parts: Parts, one: Given, at: datetime) -> Given:
    """Note that an export is over, if it is."""
    now = seen(parts, one, at)
    if now != one:
        write_json(_place(parts.workspace, one.number) / _OVER, {"at": iso(at)})
    return now


def told(parts: Parts, one: Given, at: datetime) -> Given:
    """Note that its recipient is told that an export is over."""
    number = len(one.told_at) + 1
    _log(parts, one, f"told-{number}", at)
    folder = _place(parts.workspace, one.number)
    write_json(folder / f"told-{number}.json", {"at": iso(at)})
    return _read(folder)


def _log(parts: Parts, one: Given, act: str, at: datetime) -> None:
    """Log that a recipient was told, or that an export is destroyed: in public by its digest alone."""
    facts = {"export": one.reference, "act": act, "recipient": one.recipient and one.recipient.name}
    key = f"{one.number}:{one.digest}:{act}"
    parts.log(Entry(EntryKind.RECIPIENT, at, key, facts, {"export": one.digest}))


def _folder(workspace: Workspace) -> Path:
    return workspace.root / "exports"


def _place(workspace: Workspace, number: int) -> Path:
    return _folder(workspace) / f"{number:05d}"


def _read(folder: Path) -> Given:
    given, ended, gone = (_fact(folder / name) for name in (_GIVEN, _OVER, _DESTROYED))
    letters = (read_json(path)["at"] for path in sorted(folder.glob("told-*.json")))
    to = given["recipient"]
    return Given(
        number=int(folder.name),
        what=given["what"],
        digest=given["digest"],
        corpus=given["corpus"],
        at=parse(given["at"]),
        recipient=None if to is None else Recipient(**to),
        over_at=parse(ended["at"]) if ended else None,
        told_at=tuple(map(parse, letters)),
        destroyed_at=parse(gone["at"]) if gone else None,
        destroyed_by=gone.get("by"),
    )


def _fact(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = read_json(path) if path.exists() else {}
    return found
