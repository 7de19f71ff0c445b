"""``demur request``: people who appear in somebody else's posts, by legal clock."""

from __future__ import annotations

import getpass
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from demur import clock
from demur.cli.frame import Context, guarded, hint, pass_context, progress, show
from demur.cli.look import grid, listing, records, say
from demur.errors import InputError

if TYPE_CHECKING:
    from demur.flows.service import Service

_REASONS = ("about_you", "your_work", "child", "somebody_else", "not_personal", "public_interest", "not_entitled",
            "excessive")  # fmt: skip
_DELAYS = ("complex", "many_requests")
_number = click.argument("number", type=int)
_by = click.option("--by", default=getpass.getuser, help="Who decides (default: the user who runs this).")


@contextmanager
def _service(context: Context) -> Iterator[Service]:
    from demur.wiring import open_service

    with progress(context) as told, open_service(context.workspace, told) as service:
        yield service


@click.group()
def request() -> None:
    """Requests of people who appear in somebody else's posts."""


@request.command("add", epilog="Example: demur request add --contact ana@example.org --name 'Ana Alvarado'")
@click.option("--contact", required=True, help="E-mail address for the answer; all else is optional.")
@click.option("--link", "links", multiple=True, help="Link or id of a post. Repeat as needed.")
@click.option("--name", "names", multiple=True, help="A full name. Repeat as needed.")
@click.option("--handle", "handles", multiple=True, help="A user name. Repeat as needed.")
@click.option("--phone", "phones", multiple=True, help="A phone number. Repeat as needed.")
@click.option("--email", "emails", multiple=True, help="Another address. Repeat as needed.")
@click.option("--text", default="", help="Words of theirs that somebody copied.")
@click.option("--picture", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="A picture file.")
@click.option("--for", "whom", type=click.Choice(["me", "child", "other"]), default="me", help="Whom it is about.")
@click.option("--prompt", "prompts", multiple=True, help="What a model was asked. Repeat as needed.")
@click.option("--output", default="", help="What the model answered.")
@click.option("--language", default="en", show_default=True, help="Language of the answer.")
@click.option("--country", default=None, help="Where the person lives; names the authority.")
@pass_context
@guarded
def add(context: Context, /, picture: Path | None, whom: str, language: str, country: str | None, **told: Any) -> None:
    """Take in a request that came by letter or phone."""
    from demur.flows import request as flow

    form = {name: "\n".join(value) if isinstance(value, tuple) else value for name, value in told.items()}
    with _service(context) as service:
        content = picture.read_bytes() if picture else None
        home = country.upper() if country else None
        number = flow.receive(service, {**form, "for": whom}, content, language=language, country=home)
        found = service.requests.known(number)
        link = f"{service.site.origin}/request/{flow.token(service, number)}"
    show(context, {"number": number, "reference": found.reference, "due_at": clock.iso(found.due_at), "link": link})
    hint(context, "Search with `demur request match`.")


@request.command("list")
@click.option("--answered", is_flag=True, help="Those that have their answer.")
@pass_context
@guarded
def list_(context: Context, *, answered: bool) -> None:
    """List requests by legal clock: what is due first stands first."""
    from demur.flows import request as flow

    with _service(context) as service:
        rows = [
            {"number": one.request.number, "state": one.request.state.value, "clock": one.alarm.value,
             "due_at": clock.iso(one.request.due_at), "open": one.open, "found": one.found,
             "outcome": one.request.outcome and one.request.outcome.value}
            for one in flow.whole_queue(service, answered=answered)
        ]  # fmt: skip
    show(context, {"requests": rows}, lambda: records(rows) if rows else say("nobody waits"))


@request.command("show")
@_number
@pass_context
@guarded
def show_(context: Context, number: int) -> None:
    """Show everything about a request: what was asked, what was found, the words around it. For staff only."""
    from demur.flows import request as flow

    with _service(context) as service:
        found = flow.opened(service, number)
    one = found.request
    facts = {
        "reference": one.reference, "state": one.state.value, "clock": found.alarm.value,
        "due_at": clock.iso(one.due_at), "searched": one.searched,
        "wanted": {name: value for name, value in asdict(found.wanted).items() if value} if found.wanted else None,
        "evidence": found.evidence, "answer": found.answer,
        "proposals": [
            {"item": hit.item_id, "rule": hit.rule.value, "score": hit.score, "certain": hit.certain,
             "verdict": hit.verdict.value, "reason": hit.reason and hit.reason.value, "words": hit.snippet}
            for hit in found.proposals
        ],
    }  # fmt: skip

    def text() -> None:
        listing({name: value for name, value in facts.items() if name != "proposals" and value is not None})
        hits = found.proposals
        rows = [[hit.item_id, hit.rule.value, "yes" if hit.certain else "look", hit.verdict.value, hit.snippet[:60]]
                for hit in hits]  # fmt: skip
        if rows:
            grid(["item", "rule", "certain", "verdict", "words"], rows)

    show(context, facts, text)


@request.command("match")
@pass_context
@guarded
def match(context: Context) -> None:
    """Search for everybody who waits; a killed search goes on where it was."""
    from demur.flows.matching import match_all
    from demur.flows.request import whole_queue

    with _service(context) as service:
        parts = match_all(service)
        waiting = len(whole_queue(service))
    show(context, {"parts_read": parts, "open_requests": waiting})


@request.command("decide", epilog="Example: demur request decide 1 --reason about_you --all")
@_number
@click.argument("items", nargs=-1)
@click.option("--reason", type=click.Choice(_REASONS), required=True, help="Why; the first three take out.")
@click.option("--all", "every", is_flag=True, help="All that are open; to take out, only those that are certain.")
@_by
@pass_context
@guarded
def decide(context: Context, number: int, items: tuple[str, ...], reason: str, *, every: bool, by: str) -> None:
    """Decide about items that were found. What is taken out is out at once; `demur erase` cleans corpora and models."""
    from demur.flows import request as flow
    from demur.requests import Reason

    if every == bool(items):
        raise click.UsageError("name items, or say --all")
    with _service(context) as service:
        done = flow.decide(service, number, None if every else list(items), Reason(reason), by=by)
        left = service.requests.counts([number]).get(number, (0, 0))[0]
    show(context, {"decided": len(done), "open": left})


@request.command("extend")
@_number
@click.option("--reason", type=click.Choice(_DELAYS), required=True, help="Why; the person is told.")
@pass_context
@guarded
def extend(context: Context, number: int, reason: str) -> None:
    """Take two further months, inside the first one, and tell the person why (GDPR art. 12(3))."""
    from demur.flows import request as flow
    from demur.requests import Delay

    with _service(context) as service:
        due = flow.extend(service, number, Delay(reason))
    show(context, {"number": number, "due_at": clock.iso(due)})


@request.command("rerun")
@_number
@click.option("--tokens", type=int, default=120, show_default=True, help="How many the model may put out.")
@pass_context
@guarded
def rerun(context: Context, number: int, tokens: int) -> None:
    """Ask the current model again what a claim says, and keep what comes out as evidence."""
    from demur.flows import request as flow

    with _service(context) as service:
        evidence = flow.rerun(service, number, tokens=tokens)
    show(context, {"model": evidence["model"], "reproduced": evidence["reproduced"]})


@request.command("answer")
@_number
@click.option("--note", default="", help="Words of your own, put first, in the person's language.")
@_by
@pass_context
@guarded
def answer(context: Context, number: int, note: str, by: str) -> None:
    """End a request: write the answer in the person's language, tell them, and tell whoever posted."""
    from demur.flows import request as flow

    with _service(context) as service:
        outcome = flow.answer(service, number, by=by, note=note)
        text = service.requests.answer_text(number)
    show(context, {"number": number, "outcome": outcome.value, "answer": text}, lambda: say(str(text)))


@request.command("status")
@_number
@pass_context
@guarded
def status(context: Context, number: int) -> None:
    """Show what the person sees behind their link."""
    from demur.flows import request as flow

    with _service(context) as service:
        found = flow.standing(service, number)
        if found is None:
            raise InputError("expected the number of a request, found none of that number; see `demur request list`")
        link = f"{service.site.origin}{found.link}"
    one = found.request
    facts = {"reference": one.reference, "state": one.state.value, "due_at": clock.iso(one.due_at),
             "outcome": one.outcome and one.outcome.value, "answer": found.answer, "link": link}  # fmt: skip
    show(context, facts)
