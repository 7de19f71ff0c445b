"""The ledger and other evidence: to look at, to verify elsewhere, to download."""

from __future__ import annotations

import orjson
from starlette.responses import Response

from demur.access import Action
from demur.flows import office
from demur.web.console.desk import PAGE_ROWS, Desk, Screen
from demur.web.console.table import Column, Table

_ENTRIES = (
    Column("index", "Entry", "number"),
    Column("at", "When", "instant"),
    Column("kind", "What", "tag"),
    Column("commitment", "Commitment", "code"),
    Column("builds", "Builds", "code"),
    Column("proof", "Proof", "link"),
)
_CERTIFICATES = (Column("erasure_id", "Erasure", "link"), Column("at", "Issued", "instant"),
                 Column("bytes", "Bytes", "number"))  # fmt: skip


def ledger(desk: Desk) -> Response:
    """Show checkpoint, entries, certificates."""
    told = desk.asked("before")
    before = int(told) if told.isdecimal() and len(told) < 16 else None
    found = office.ledger_page(desk.service.parts, last=None if desk.asked("as") else PAGE_ROWS, before=before)
    rows = [
        {
            **one,
            "commitment": one["commitment"][:24],
            "proof": "download",
            "href": f"/console/ledger/{one['index']}",
            "builds": _builds(one["builds"]),
        }
        for one in found.entries
    ]
    given = [{**one, "href": f"/console/certificates/{one['erasure_id']}"}
             for one in office.certificates(desk.service.parts)]  # fmt: skip
    empty = "Nothing of consequence has happened yet."
    papers = Table("certificates", _CERTIFICATES, given, "Nobody has left yet, so there is no certificate.")
    last = rows[-1]["index"] if rows else 0
    return desk.list_(
        Table("ledger", _ENTRIES, rows, empty), "ledger.html", title="Ledger", found=found, last=last,
        papers=papers.part(0, 200),
    )  # fmt: skip


def _builds(told: str | None) -> str | None:
    """Return the builds of an entry in short; the entry's proof holds the whole digests."""
    named = orjson.loads(told) if told else {}
    return ", ".join(f"{what} {str(digest)[:12]}" for what, digest in named.items()) or None


def proof(desk: Desk) -> Response:
    """Hand out the proof of one entry."""
    text = office.proof(desk.service.parts, int(desk.named("index")))
    if text is None:
        return desk.missing()
    desk.note("ledger.proof", desk.named("index"))
    return _file(text.encode(), f"entry-{desk.named('index')}.tlog-proof", "text/plain; charset=utf-8")


def checkpoint(desk: Desk) -> Response:
    """Hand out the newest signed checkpoint."""
    found = office.ledger_page(desk.service.parts, last=0)
    return _file(found.checkpoint.encode(), "checkpoint", "text/plain; charset=utf-8")


def certificate(desk: Desk) -> Response:
    """Hand out a certificate as it was signed."""
    raw = office.certificate(desk.service.parts, desk.named("erasure"))
    if raw is None:
        return desk.missing()
    desk.note("certificate.download", desk.named("erasure"))
    return _file(raw, f"certificate-{desk.named('erasure')}.json", "application/json")


def _file(raw: bytes, name: str, kind: str) -> Response:
    headers = {"content-disposition": f'attachment; filename="{name}"', "cache-control": "no-store"}
    return Response(raw, 200, headers, kind)


SCREENS = [
    Screen("/console/ledger", Action.LEDGER_VIEW, ledger),
    Screen("/console/ledger/checkpoint", Action.LEDGER_VIEW, checkpoint),
    Screen("/console/ledger/{index:int}", Action.LEDGER_VIEW, proof),
    Screen("/console/certificates/{erasure}", Action.LEDGER_VIEW, certificate),
]
