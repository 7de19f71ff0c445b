"""The words in which events come from outside: one JSON object an event → one row of one table. Pure.

``FORMS`` is the whole format (docs/registry.md has it as a table, and a test compares the two). A line that does not
fit is a fault and never guessed at, with one exception: an objection is accepted whatever its details say (OBJ-02).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from demur.clock import micros, parse
from demur.errors import InputError
from demur.people import schema
from demur.people.instants import days
from demur.terms.content import Kind, Signal
from demur.terms.holds import Nature, Stage
from demur.terms.people import Act, AgeSource, CampaignStatus, Delivery, Status

DOORS = frozenset({"web", "link", "one_click", "api", "staff", "bulk", "signal", "suppression"})
"""Ways in which an objection can come."""
OPEN_DOORS = frozenset({"link", "one_click"})
"""Doors that whoever has a forwarded mail can use; what came by them can be taken back with one click (OBJ-08)."""


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("a text that is not empty")
    return value


def _instant(value: Any) -> int:
    if not isinstance(value, str):
        raise ValueError("an ISO 8601 instant")  # noqa: TRY004  (one kind of fault)
    try:
        return micros(parse(value))
    except (ValueError, OverflowError) as error:
        raise ValueError("an ISO 8601 instant") from error


def _day(value: Any) -> int:
    """Read a birth date; of a year alone its last day, the youngest reading (PPL-02)."""
    try:
        written = str(value) if type(value) is int else value
        found = date.fromisoformat(f"{written}-12-31" if len(written) == 4 else written)
    except (TypeError, ValueError):
        found = date.min
    if not 1900 <= found.year < 3000:  # the year 1 is a program's zero date and makes nobody an adult
        raise ValueError("a date (ISO 8601) or a year, from 1900 on")
    return days(found)


def _country(value: Any) -> str:
    if not isinstance(value, str) or len(value) != 2 or not (value.isascii() and value.isupper()):
        raise ValueError("an ISO 3166-1 alpha-2 code in capitals")
    return value


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("true or false")  # noqa: TRY004  (one kind of fault)
    return value


def _whole(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 10_000:
        raise ValueError("a whole number from 0 to 9999")
    return value


def _one_of(*words: str) -> Callable[[Any], str]:
    def read(value: Any) -> str:
        if value not in words:
            raise ValueError(f"one of {', '.join(words)}")
        return str(value)

    return read


def _list_of(read: Callable[[Any], str]) -> Callable[[Any], str | None]:
    def read_list(value: Any) -> str | None:
        if not isinstance(value, list):
            raise ValueError("a list")  # noqa: TRY004  (one kind of fault)
        return schema.listed([read(one) for one in value])

    return read_list


_kinds = _list_of(_one_of(*Kind))
_texts = _list_of(_text)


@dataclass(frozen=True, slots=True)
class Field:
    """One member of an event."""

    name: str
    read: Callable[[Any], Any]
    required: bool = False
    default: str | None = None
    """Another member whose value stands in when this one is absent."""


@dataclass(frozen=True, slots=True)
class Form:
    """One type of event: where it goes and what it must say."""

    table: Any
    fields: tuple[Field, ...]
    row: Callable[[Mapping[str, Any]], tuple[Any, ...]]
    """From the read members to subject and values, in the table's order."""
    check: Callable[[Mapping[str, Any]], str | None] = lambda _: None
    """What is wrong with the members together, or ``None``."""
    added: int = 0
    """Columns at the end that a later version added (schema.event)."""


def _columns(*names: str) -> Callable[[Mapping[str, Any]], tuple[Any, ...]]:
    return lambda read: tuple(read.get(name) for name in names)


_SAID = Field("valid_at", _instant, default="recorded_at")
_SINCE = Field("valid_at", _instant)
_PERSON = Field("person_id", _text, required=True)
_ACCOUNT = Field("account_id", _text, required=True)


def handle_key(handle: str | None) -> str | None:
    """Return the form in which handles are looked up.

    >>> handle_key("@Ada")
    'ada'
    """
    return None if handle is None else handle.strip().lstrip("@").casefold()


def profile(account_id: str, **said: Any) -> tuple[Any, ...]:
    """Return subject and values of PROFILES; what is not said is ``None``."""
    handle = said.get("handle")
    return (
        account_id,
        handle,
        handle_key(handle),
        *(said.get(n) for n in ("name", "language", "status", "private", "signal", "last_active_at", "valid_at")),
    )


def _profile_row(read: Mapping[str, Any]) -> tuple[Any, ...]:
    return profile(**{name: value for name, value in read.items() if name != "recorded_at"})


def _owner_row(read: Mapping[str, Any]) -> tuple[Any, ...]:
    account = read["account_id"]
    service = read.get("service") or account.partition(":")[0]
    return (account, service, read.get("person_id") or account, read.get("valid_at"))


def _pair_row(act: str) -> Callable[[Mapping[str, Any]], tuple[Any, ...]]:
    return lambda read: (*sorted((read["person_id"], read["other_person_id"])), act, read["valid_at"])


def objection_row(read: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return subject and values of OBJECTIONS; the reference is made of the rest unless one is given."""
    rest = (read.get("act") or Act.OBJECT.value, read.get("kinds"), read.get("services"),
            read.get("door") or "bulk", read["valid_at"])  # fmt: skip
    reference = read.get("objection_id") or f"O-{schema.event(read['person_id'], *rest, recorded_at=0)[1][:16]}"
    return (read["person_id"], reference, *rest)


def _ends_after(begin: str, end: str) -> Callable[[Mapping[str, Any]], str | None]:
    def check(read: Mapping[str, Any]) -> str | None:
        start, stop = read.get(begin), read.get(end)
        return f"{end} must be after {begin}" if start is not None and stop is not None and stop <= start else None

    return check


def _lift_by_two(read: Mapping[str, Any]) -> str | None:
    named = {name.strip().casefold() for name in schema.unlisted(read.get("by")) or ()}
    if read["act"] == Act.LIFT and len(named) < 2:
        return "lifting a hold needs two different named people in by (HLD-04)"
    return _ends_after("created_from", "created_until")(read)


def _says_something(read: Mapping[str, Any]) -> str | None:
    said = set(read) - {"account_id", "valid_at", "recorded_at"}
    return None if any(read[name] is not None for name in said) else "an event that says something"


_HOLD = ("hold_id", "act", "countries", "services", "kinds", "created_from", "created_until", "purpose", "campaign_id",
         "authority", "instrument", "by", "valid_at", "artefact", "stages", "nature", "text", "deadline_at", "penalty",
         "renotice_at")  # fmt: skip
_OWNED = (_ACCOUNT, Field("person_id", _text), Field("service", _text))

FORMS: dict[str, Form] = {
    "account": Form(schema.ACCOUNTS, (*_OWNED, _SINCE), _owner_row),
    "transfer": Form(
        schema.ACCOUNTS,
        (_ACCOUNT, _PERSON, Field("service", _text), Field("valid_at", _instant, required=True)),
        _owner_row,
    ),
    "profile": Form(
        schema.PROFILES,
        (
            _ACCOUNT,
            Field("handle", _text),
            Field("name", _text),
            Field("language", _text),
            Field("last_active_at", _instant),
            _SINCE,
        ),
        _profile_row,
        _says_something,
    ),
    "handle": Form(schema.PROFILES, (_ACCOUNT, Field("handle", _text, required=True), _SINCE), _profile_row),
    "status": Form(schema.PROFILES, (_ACCOUNT, Field("status", _one_of(*Status), required=True), _SAID), _profile_row),
    "private": Form(schema.PROFILES, (_ACCOUNT, Field("private", _flag, required=True), _SAID), _profile_row),
    "signal": Form(schema.PROFILES, (_ACCOUNT, Field("signal", _one_of(*Signal), required=True), _SAID), _profile_row),
    "compromise": Form(
        schema.COMPROMISES,
        (_ACCOUNT, Field("valid_from", _instant, required=True), Field("valid_until", _instant)),
        _columns("account_id", "valid_from", "valid_until"),
        _ends_after("valid_from", "valid_until"),
    ),
    "contact": Form(
        schema.CONTACTS,
        (_PERSON, Field("contact", _text, required=True), _SINCE),
        _columns("person_id", "contact", "valid_at"),
    ),
    "residence": Form(
        schema.RESIDENCES,
        (_PERSON, Field("country", _country), Field("valid_from", _instant), Field("valid_until", _instant)),
        _columns("person_id", "country", "valid_from", "valid_until", "stream"),
        _ends_after("valid_from", "valid_until"),
    ),
    "age": Form(
        schema.AGES,
        (
            _PERSON,
            Field("born_on", _day, required=True),
            Field("source", _one_of(AgeSource.VERIFIED, AgeSource.DECLARED, AgeSource.ESTIMATED), required=True),
        ),
        _columns("person_id", "born_on", "source"),
    ),
    "link": Form(schema.LINKS, (_PERSON, Field("other_person_id", _text, required=True), _SAID), _pair_row("link")),
    "unlink": Form(schema.LINKS, (_PERSON, Field("other_person_id", _text, required=True), _SAID), _pair_row("unlink")),
    "campaign": Form(
        schema.CAMPAIGNS,
        (
            Field("campaign_id", _text, required=True),
            Field("purpose", _text, required=True),
            Field("effective_at", _instant),
            Field("notice_days", _whole),
            Field("countries", _list_of(_country)),
            Field("kinds", _kinds),
        ),
        _columns("campaign_id", "purpose", "effective_at", "notice_days", "countries", "kinds"),
        added=1,
    ),
    "campaign_status": Form(
        schema.CAMPAIGN_STATUSES,
        (
            Field("campaign_id", _text, required=True),
            Field("status", _one_of(*CampaignStatus), required=True),
            _SAID,
        ),
        _columns("campaign_id", "status", "valid_at"),
    ),
    "notice": Form(
        schema.NOTICES,
        (
            _PERSON,
            Field("campaign_id", _text, required=True),
            Field("channel", _text, required=True),
            Field("state", _one_of(*Delivery), required=True),
            _SAID,
        ),
        _columns("person_id", "campaign_id", "channel", "state", "valid_at"),
    ),
    "objection": Form(
        schema.OBJECTIONS,
        (
            _PERSON,
            Field("act", _one_of(Act.OBJECT, Act.WITHDRAW)),
            Field("objection_id", _text),
            Field("kinds", _kinds),
            Field("services", _texts),
            Field("door", _one_of(*sorted(DOORS))),
            _SAID,
        ),
        objection_row,
    ),
    "consent": Form(
        schema.CONSENTS,
        (
            _PERSON,
            Field("purpose", _text, required=True),
            Field("act", _one_of(Act.CONSENT, Act.REVOKE), required=True),
            _SAID,
        ),
        _columns("person_id", "purpose", "act", "valid_at"),
    ),
    "hold": Form(
        schema.HOLDS,
        (
            Field("hold_id", _text, required=True),
            Field("act", _one_of(Act.PLACE, Act.LIFT), required=True),
            Field("countries", _list_of(_country)),
            Field("services", _texts),
            Field("kinds", _kinds),
            Field("created_from", _instant),
            Field("created_until", _instant),
            Field("purpose", _text),
            Field("campaign_id", _text),
            Field("authority", _text, required=True),
            Field("instrument", _text, required=True),
            Field("by", _texts),
            Field("artefact", _text),
            Field("stages", _list_of(_one_of(*Stage))),
            Field("nature", _one_of(*Nature)),
            Field("text", _text),
            Field("deadline_at", _instant),
            Field("penalty", _text),
            Field("renotice_at", _instant),
            _SAID,
        ),
        _columns(*_HOLD),
        _lift_by_two,
        added=schema.HOLDS_ADDED,
    ),
    "suppression": Form(
        schema.SUPPRESSIONS,
        (Field("identifier_hash", _text, required=True), Field("origin", _text, required=True)),
        _columns("identifier_hash", "origin"),
    ),
    "item_suppression": Form(
        schema.ITEM_SUPPRESSIONS,
        (
            Field("item_id", _text, required=True),
            Field("origin", _text, required=True),
            Field("act", _one_of(Act.PLACE, Act.LIFT), required=True),
            _SAID,
        ),
        _columns("item_id", "origin", "act", "valid_at"),
    ),
}
"""Type → form. Every event may also say ``recorded_at``."""

_RECORDED = Field("recorded_at", _instant)


def read_event(event: Any, recorded_at: int) -> tuple[Any, tuple[Any, ...]]:
    """Return the table and the row of one event.

    Args:
        event: the JSON object.
        recorded_at: when demur learns it, unless the event says so itself.

    Raises:
        InputError: it is no event; all faults are listed, none with a value from the event.
    """
    if not isinstance(event, dict):
        raise InputError("expected a JSON object", ["expected a JSON object"])
    form = FORMS.get(event.get("type", "")) if isinstance(event.get("type"), str) else None
    if form is None:
        raise InputError("unknown event", [f"type: expected one of {', '.join(FORMS)}"])
    read, faults = _members(form, event, recorded_at)
    if event["type"] == "objection":
        read, faults = _accept(event, read, faults)
    if not faults:
        wrong = form.check(read)
        faults = [wrong] if wrong else []
    if faults:
        raise InputError(f"the event {event['type']} cannot be read", faults)
    return form.table, schema.event(*form.row(read), recorded_at=read["recorded_at"], added=form.added)


def _members(form: Form, event: dict[str, Any], recorded_at: int) -> tuple[dict[str, Any], list[str]]:
    read: dict[str, Any] = {"recorded_at": recorded_at}
    faults: list[str] = []
    for member in (_RECORDED, *form.fields):
        value = event.get(member.name)
        if value is None:
            if member.required:
                faults.append(f"{member.name}: is missing")
            elif member.default is not None:
                read[member.name] = read[member.default]
            continue
        try:
            read[member.name] = member.read(value)
        except ValueError as error:
            faults.append(f"{member.name}: expected {error}")
    known = {member.name for member in form.fields} | {"type", "recorded_at"}
    unknown = len(set(event) - known)
    return read, [*faults, *([f"{unknown} member(s) that this type does not have"] if unknown else [])]


def _accept(event: dict[str, Any], read: dict[str, Any], faults: list[str]) -> tuple[dict[str, Any], list[str]]:
    """An objection is never refused for a detail: what cannot be read falls back to *everything, now* (OBJ-02).

    A withdrawal is taken literally or not at all.
    """
    if "person_id" not in read or event.get("act") not in (None, Act.OBJECT):
        return read, faults
    return {"act": Act.OBJECT.value, "valid_at": read["recorded_at"], **read}, []
