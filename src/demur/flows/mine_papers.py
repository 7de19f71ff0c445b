"""What a person was told, what was certified about them, and all of it as one document to take away (TRA-02)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email import message_from_string
from email.message import EmailMessage
from email.policy import default
from typing import Any

from demur.clock import iso
from demur.errors import InputError
from demur.flows.exports import exports, seen
from demur.flows.mine import Inventory, inventory_of, people_of, spans_of, standing_of, within
from demur.flows.people import blind
from demur.flows.proof import proof
from demur.flows.readable import readable
from demur.flows.service import Service
from demur.store import read_json


def certificates_of(service: Service, person: str) -> list[dict[str, Any]]:
    """Return the certificates of erasures that the person left in, whole or in part, oldest first."""
    mine = {blind(service.parts.keys, one) for one in people_of(service.parts, person)}
    found = []
    for path in sorted(service.parts.workspace.erasures.glob("*/certificate.json")):
        told = read_json(path)
        if mine & {*told.get("persons", ()), *told.get("partial", ())}:
            found.append({"erasure": path.parent.name, "at": told.get("issued_at"), "certificate": told})
    return sorted(found, key=lambda one: (str(one["at"]), one["erasure"]))


@dataclass(frozen=True, slots=True)
class Told:
    """One notice, as far as it is known here."""

    campaign_id: str
    channel: str
    state: str
    at: datetime
    subject: str | None
    text: str | None
    """Exactly as it was sent; ``None`` = it was sent by somebody else, or its text is not kept."""
    digest: str | None


def notices_of(service: Service, person: str) -> list[Told]:
    """Return the notices that a person got: what the registry knows, with the exact text of those that demur sent."""
    sent = {one["campaign"]: one for one in readable(lambda: proofs_of(service, person)) or ()}
    found = []
    for row in service.parts.registry.about(person)["notices"]:
        one = sent.get(row["campaign_id"], {})
        subject, text = _words(one)
        at = row["valid_at"] or row["recorded_at"]
        digest = one.get("text_digest")
        found.append(Told(row["campaign_id"], row["channel"], row["state"], at, subject, text, digest))
    return sorted(found, key=lambda one: (one.at, one.campaign_id, one.state))


def proofs_of(service: Service, person: str) -> list[dict[str, Any]]:
    """Return what can be proved of a person's notices; nothing when demur sent them none."""
    try:
        notices: list[dict[str, Any]] = proof(service, person)["notices"]
    except InputError:
        return []
    return notices


def _words(one: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """Return subject and text of a notice: of the very message, or else of the text that it was made from."""
    message = next((each["message"] for each in reversed(one.get("proofs") or ()) if each["message"]), None)
    if message is not None and "\r\n" in message:
        read = message_from_string(message, policy=default)
        body = read.get_body(("plain",)) if isinstance(read, EmailMessage) else None
        if body is not None:
            return str(read["subject"]), str(body.get_content())
    parts = one.get("text") or {}
    return parts.get("subject.txt"), parts.get("body.txt")


def recorded(service: Service, person: str) -> dict[str, list[dict[str, Any]]]:
    """Return what is recorded about a person, and nothing about who had one of their accounts before or after them."""
    people = set(people_of(service.parts, person))
    found = service.parts.registry.about(person)
    others = {row["account_id"] for row in found["accounts"] if row["person_id"] not in people}
    spans = spans_of(service.parts, sorted(people), service.clock()) if others else {}

    def is_theirs(row: Mapping[str, Any]) -> bool:
        if not {row[name] for name in ("person_id", "other_person_id") if name in row} <= people:
            return False
        if "person_id" in row or row.get("account_id") not in others:
            return True
        return within(row["valid_at"] or row["recorded_at"], spans.get(row["account_id"], ()))

    return {name: [row for row in rows if is_theirs(row)] for name, rows in found.items()}


def everything(service: Service, person: str) -> dict[str, Any]:
    """Return all that is known of a person and their items, in plain values: the access export (TRA-02).

    What cannot be read now is ``None`` and named in ``not_readable``: the rest is handed out all the same.
    """
    at = service.clock()
    inventory = readable(lambda: inventory_of(service, person))
    standing = standing_of(service, person)
    parts: dict[str, Any] = {
        "items": inventory and [_plain(_members(one)) for one in inventory.lines],
        "corpora": inventory and [_plain(_members(one)) for one in inventory.corpora],
        "models": inventory and [_plain(_members(one)) for one in inventory.models],
        "media_builds": inventory and [_plain(_members(one)) for one in inventory.media],
        "records_from_others_items": inventory and inventory.elsewhere,
        "recipients": inventory and readable(lambda: recipients_of(service, inventory)),
        "notices": readable(lambda: proofs_of(service, person)),
        "certificates": readable(lambda: certificates_of(service, person)),
    }
    return {
        "format": "demur-access-1",
        "made_at": iso(at),
        "controller": {"name": service.site.controller, "address": service.site.address,
                       "contact": service.site.contact},
        "person": person,
        "linked_ids": people_of(service.parts, person),
        "standing": {"state": standing.state.value, "since": iso(standing.since) if standing.since else None,
                     "reason": standing.reason, "accounts": list(standing.accounts)},
        "recorded": _plain(recorded(service, person)),
        **parts,
        "not_readable": sorted(name for name, found in parts.items() if found is None),
        "remains_after_erasure": [
            "what you said: objections and withdrawals, so that it holds for ever",
            "keyed hashes of your identifiers, so that nothing comes back by a new import",
            "keyed fingerprints of your texts and pictures, sealed, so that nobody's copy of them is used",
            "what the platform handed over, as it was, and sealed once more beside the current corpus",
            "the ledger's entries, whose private half can be erased",
            "certificates, which name nobody",
        ],
    }  # fmt: skip


def recipients_of(service: Service, inventory: Inventory) -> list[dict[str, Any]]:
    """Return who got exports of corpora that hold something of the person, or that may have (GDPR art. 15(1)(c)).

    Of a version that is destroyed nobody can tell any more whom it held.
    """
    space = service.parts.workspace
    theirs = {one.name for one in inventory.corpora}
    return [
        {
            "recipient": one.recipient.name if one.recipient else None, "what": one.what, "at": iso(one.at),
            "corpus": one.corpus, "holds_something_of_yours": one.corpus in theirs or None, "state": one.state.value,
        }
        for one in (seen(service.parts, one, service.clock()) for one in exports(space).given)
        if one.corpus in theirs or one.over_at is not None
    ]  # fmt: skip


def _members(one: Any) -> dict[str, Any]:
    return {name: getattr(one, name) for name in one.__slots__}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(name): _plain(found) for name, found in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, datetime):
        return iso(value)
    return value if isinstance(value, str | int | float | bool | None) else str(value)
