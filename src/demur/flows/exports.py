"""What left the house: who got it, whether it may still be used, and that they were told when it may not (TPD-09).

An export may be used as long as the version stands here that it was made from, and nothing waits to be taken out of it.
An erasure or an expiry that destroys that version ends it for good. Each event is a file of its own, written once:
``exports/<number>/``; the ledger has them too. Who is written to, and when: ``flows.recall``.
"""

from __future__ import annotations

import fcntl
import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from demur import erasure
from demur.clock import iso, parse
from demur.corpus import read_manifest
from demur.errors import InputError, RefusedError
from demur.flows.hold import corpus_stops
from demur.flows.parts import Parts, current
from demur.flows.pending import urgent, waiting_for
from demur.i18n import LAST, phrase_languages
from demur.ledger import Entry, EntryKind
from demur.notice.addresses import mailbox
from demur.store import Workspace, digest_json, read_json, write_json
from demur.store.links import LinkPurpose, Links
from demur.terms.holds import Stage
from demur.terms.site import Site

_LOG = logging.getLogger(__name__)
_GIVEN, _OVER, _DESTROYED, _NEVER = "given.json", "over.json", "destroyed.json", "never-left.json"
_MOST_NAME = 200
_NAMED = re.compile(r"([^<>]*)<([^<>]+)>\s*")


class ExportState(StrEnum):
    """How an export stands."""

    IN_USE = "in_use"
    """The version that it was made from stands here."""
    WAITS = "waits"
    """Something waits to be taken out of it, or a hold stops it, or its version is away and nobody knows why."""
    OVER = "over"
    """Its version was destroyed; nobody has said that the export is."""
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
    narrowed_at: str
    """Until when that corpus knew what takes away."""
    like: str
    """Digest of recipe and purpose: what could replace it."""
    at: datetime
    recipient: Recipient | None
    """``None`` = nobody was named."""
    over_at: datetime | None
    written_at: tuple[datetime, ...]
    """When letters to the recipient were queued."""
    destroyed_at: datetime | None
    destroyed_by: str | None
    waits: bool = False

    @property
    def reference(self) -> str:
        """What people call it by."""
        return f"X-{self.number}"

    @property
    def state(self) -> ExportState:
        """How it stands."""
        if self.destroyed_at is not None:
            return ExportState.DESTROYED
        if self.over_at is not None:
            return ExportState.OVER
        return ExportState.WAITS if self.waits else ExportState.IN_USE

    def letter(self, number: int) -> str:
        """Return the key of a letter about it."""
        return f"export:{self.number}:{self.digest[:16]}:{number}"

    def as_json(self) -> dict[str, Any]:
        """Return the plain form."""
        return {
            "reference": self.reference, "state": self.state.value, "what": self.what, "digest": self.digest,
            "corpus": self.corpus, "at": iso(self.at), "recipient": self.recipient and asdict(self.recipient),
            "over_at": self.over_at and iso(self.over_at), "written_at": list(map(iso, self.written_at)),
            "destroyed_at": self.destroyed_at and iso(self.destroyed_at), "destroyed_by": self.destroyed_by,
        }  # fmt: skip


class Exports(NamedTuple):
    """Everything that left, oldest first."""

    given: list[Given]
    unreadable: list[str]
    """Names of folders that cannot be read: somebody has to look."""


def recipient_of(text: str, language: str = LAST) -> Recipient:
    """Return a recipient: ``Acme Labs <data@acme.example>``, an address, or a name alone.

    Raises:
        InputError: nothing of that is there, or the address can stand in no mail.
    """
    named = _NAMED.fullmatch(text)
    name, address = (named[1], named[2]) if named else ("", text.strip()) if "@" in text else (text, "")
    name = " ".join(name.split())[:_MOST_NAME]
    if not (name or address) or {*"<>"} & {*name} or (address and isinstance(mailbox(address), str)):
        raise InputError('expected a recipient as "Name <address>", found none or an address that no mail reaches')
    if language not in phrase_languages():
        raise InputError(f"expected a language of {', '.join(phrase_languages())}, found another; choose one of these")
    return Recipient(name or address, address, language)


def give(
    parts: Parts, *, what: str, digest: str, corpus: str, inputs: Mapping[str, Any], at: datetime, to: Recipient | None
) -> Given:
    """Note an export before it appears: at worst what is told of has never left. One command at a time.

    Numbers follow the clock: they stand in mailed links, and an older backup must give none of them out again.
    """
    folder = _folder(parts.workspace)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    number = max(int(at.timestamp()), 1 + max(map(int, _names(folder)), default=0))
    place = _place(parts.workspace, number)
    place.mkdir(mode=0o700)
    facts = {
        "what": what, "digest": digest, "corpus": corpus, "narrowed_at": inputs["narrowed_at"], "like": _like(inputs),
        "at": iso(at), "recipient": to and asdict(to),
    }  # fmt: skip
    write_json(place / _GIVEN, facts)
    return _read(place)


def never_left(parts: Parts, one: Given, at: datetime) -> None:
    """Note that an export did not come about after all: nobody is told of it."""
    write_json(_place(parts.workspace, one.number) / _NEVER, {"at": iso(at)})


def exports(workspace: Workspace) -> Exports:
    """Return everything that left, and what cannot be read of it."""
    found = Exports([], [])
    for name in _names(_folder(workspace)):
        folder = _folder(workspace) / name
        if not (folder / _GIVEN).is_file() or (folder / _NEVER).exists():
            continue
        try:
            found.given.append(_read(folder))
        except Exception as error:  # one that is damaged hides no other
            _LOG.error("the export %s cannot be read (%s)", name, type(error).__name__)
            found.unreadable.append(name)
    return found


def export(workspace: Workspace, number: int) -> Given | None:
    """Return one export by its number."""
    folder = _place(workspace, number)
    return _read(folder) if (folder / _GIVEN).is_file() and not (folder / _NEVER).exists() else None


def by_reference(workspace: Workspace, reference: str) -> Given:
    """Return one export by its reference.

    Raises:
        InputError: there is none.
    """
    head, _, digits = reference.strip().upper().partition("-")
    named = head == "X" and digits.isascii() and digits.isdecimal() and len(digits) < 16
    found = export(workspace, int(digits)) if named else None
    if found is None:
        raise InputError("expected the reference of an export, as X-1795478400, found none; see `demur corpus exports`")
    return found


def seen(parts: Parts, one: Given, at: datetime) -> Given:
    """Return an export as it stands now; notes nothing."""
    if one.state is not ExportState.IN_USE:
        return one
    folder = parts.workspace.corpora / one.corpus
    if not (folder / "manifest.json").is_file():
        ended = _destroyed_at(parts.workspace, one)
        return replace(one, over_at=ended, waits=ended is None)
    if one.what == "decisions" and read_manifest(folder).inputs["narrowed_at"] != one.narrowed_at:
        return replace(one, over_at=at)  # the same records, made of other decisions
    waits = (
        erasure.unfinished(parts.workspace.erasures)
        or urgent(waiting_for(parts, folder))
        or any(corpus_stops(parts, stage, one.corpus, at=at) for stage in (Stage.TRAINING, Stage.EXPORT))
    )
    return replace(one, waits=bool(waits))


def _destroyed_at(workspace: Workspace, one: Given) -> datetime | None:
    """Return when the version of an export was destroyed, by the logs of what was: that it is away says nothing."""
    named = f'"corpora/{one.corpus}/manifest.json"'.encode()
    for log in workspace.erasures.rglob("destroyed.jsonl"):
        for line in log.read_bytes().splitlines():
            if named in line and (at := parse(orjson.loads(line)["at"])) >= one.at:
                return at
    return None


@contextmanager
def alone(workspace: Workspace, number: int) -> Iterator[Given]:
    """Hold one export, as it is on the disk: the worker, and whoever says that it is destroyed, wait for each other."""
    folder = _place(workspace, number)
    with (folder / ".lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield _read(folder)


def over(parts: Parts, one: Given, at: datetime) -> Given:
    """Note that an export is over, if it is; held alone."""
    now = seen(parts, one, at)
    if now.over_at is not None and one.over_at is None:
        write_json(_place(parts.workspace, one.number) / _OVER, {"at": iso(now.over_at)})
    return now


def written(parts: Parts, one: Given, at: datetime) -> Given:
    """Note that a letter about an export is queued; held alone."""
    number = len(one.written_at) + 1
    _log(parts, one, f"written-{number}", at)
    folder = _place(parts.workspace, one.number)
    write_json(folder / f"written-{number}.json", {"at": iso(at)})
    return _read(folder)


def destroyed(parts: Parts, number: int, *, by: str, at: datetime) -> Given:
    """Note that a recipient destroyed an export, once; their address is not kept any longer.

    Raises:
        RefusedError: it may still be used: whoever is noted as done would never be told.
    """
    folder = _place(parts.workspace, number)
    with alone(parts.workspace, number) as one:
        if one.destroyed_at is None:
            if over(parts, one, at).state is not ExportState.OVER:
                raise RefusedError(f"{one.reference} is not over: its version stands here; note it when that is gone")
            said = " ".join(by.split())[:_MOST_NAME]
            _log(parts, one, "destroyed", at, by=said)
            write_json(folder / _DESTROYED, {"at": iso(at), "by": said})
        if one.recipient is not None and one.recipient.address:
            to = asdict(replace(one.recipient, address=""))
            write_json(folder / _GIVEN, _fact(folder / _GIVEN) | {"recipient": to})
        return _read(folder)


def page_link(one: Given, site: Site, links: Links) -> str:
    """Return where a recipient sees how an export stands, and says that it is destroyed."""
    return f"{site.origin}/export/{links.token(LinkPurpose.EXPORT, one.number)}"


def status_link(one: Given, site: Site, links: Links) -> str:
    """Return where programs ask; it travels with the data, and does nothing else."""
    return f"{site.origin}/export-status/{links.token(LinkPurpose.EXPORT_STATUS, one.number)}"


def standing(parts: Parts, one: Given) -> dict[str, Any]:
    """Return how an export stands, for whoever has a link of it: no word on who got what."""
    names = ("reference", "state", "what", "digest", "corpus", "at", "over_at", "destroyed_at")
    facts = {name: value for name, value in one.as_json().items() if name in names}
    return {**facts, "may_be_used": one.state is ExportState.IN_USE, "replaced_by": _replaced_by(parts, one)}


def _replaced_by(parts: Parts, one: Given) -> str | None:
    """Return the current corpus where an export is over and that is the same, made anew."""
    here = current(parts.workspace).corpus
    if one.over_at is None or here is None:
        return None
    return here if _like(read_manifest(parts.workspace.corpora / here).inputs) == one.like else None


def _like(inputs: Mapping[str, Any]) -> str:
    return digest_json([inputs["recipe"], inputs.get("purpose")])


def _log(parts: Parts, one: Given, act: str, at: datetime, *, by: str | None = None) -> None:
    """Log that a letter is queued, or that an export is destroyed: in public by its digest alone."""
    facts = {"export": one.reference, "act": act, "recipient": one.recipient and one.recipient.name, "by": by}
    key = f"{one.number}:{one.digest}:{act}"
    parts.log(Entry(EntryKind.RECIPIENT, at, key, facts, {"export": one.digest}))


def _folder(workspace: Workspace) -> Path:
    return workspace.root / "exports"


def _place(workspace: Workspace, number: int) -> Path:
    return _folder(workspace) / str(number)


def _names(folder: Path) -> list[str]:
    found = (one.name for one in folder.iterdir()) if folder.is_dir() else ()
    return sorted((name for name in found if name.isascii() and name.isdecimal()), key=int)


def _read(folder: Path) -> Given:
    given, ended, gone = (_fact(folder / name) for name in (_GIVEN, _OVER, _DESTROYED))
    letters = (read_json(path)["at"] for path in sorted(folder.glob("written-*.json")))
    to = given["recipient"]
    return Given(
        number=int(folder.name),
        what=given["what"],
        digest=given["digest"],
        corpus=given["corpus"],
        narrowed_at=given["narrowed_at"],
        like=given["like"],
        at=parse(given["at"]),
        recipient=None if to is None else Recipient(**to),
        over_at=parse(ended["at"]) if ended else None,
        written_at=tuple(map(parse, letters)),
        destroyed_at=parse(gone["at"]) if gone else None,
        destroyed_by=gone.get("by"),
    )


def _fact(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = read_json(path) if path.exists() else {}
    return found
