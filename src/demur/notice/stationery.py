"""How a letter looks: paragraphs from phrases, links from the site, text and HTML parts. Does not queue or send."""

from __future__ import annotations

import re
from datetime import date, datetime
from typing import Any

from babel.dates import format_date, format_time

from demur.clock import parse
from demur.i18n import phrase
from demur.notice.addresses import LETTER, mailbox, return_path
from demur.notice.letters import Due, LetterKind
from demur.notice.render import compile_mail, mark
from demur.notice.slots import linked, locale, rich_phrase
from demur.store.keys import KeyRing
from demur.store.links import LinkPurpose, Links
from demur.terms.notice import Outcome, Outgoing, Result
from demur.terms.site import Site

PARTS: dict[LetterKind, tuple[str, ...]] = {
    LetterKind.OBJECTION_CONFIRMED: ("text", "status", "receipt", "undo", "rights"),
    LetterKind.REQUEST_ANSWERED: ("text", "rights"),
    LetterKind.REQUEST_EXTENDED: ("text", "rights"),
}
"""Kind → the phrases ``letter.<kind>_<part>`` that it is made of, in order; otherwise ``text`` alone."""
_ONLY_WITH = {"status": "status_url", "receipt": "receipt_url", "undo": "undo_url"}
"""Part → the fact without which it is left out."""
PARAGRAPHS = "answer"
"""The one slot that keeps its lines and paragraphs: we write it ourselves (flows/answering.py)."""
UNDO_PATH, PAGE_PATH = "/u/", "/p/"
"""Paths of the links that only letters carry: undo, and the person's page."""


def write(letter: Due, at: datetime, site: Site, links: Links, keys: KeyRing) -> Outgoing | Result:
    """Return a letter as a message; or a bounce when its address can stand in no envelope.

    Args:
        letter: what to say, to whom.
        at: the mail's Date.
        site: who writes.
        links: make the personal links.
        keys: sign the return path.
    """
    to = mailbox(letter.address)
    if isinstance(to, str):
        return Result(letter.number, letter.attempt, Outcome.BOUNCED, to)
    facts = _facts(letter, site, links)
    marked = {name: linked(name, text) for name, text in facts.items()}
    plain, rich = [], []
    for part in PARTS.get(letter.kind, ("text",)):
        if part in _ONLY_WITH and _ONLY_WITH[part] not in facts:
            continue
        key = f"letter.{letter.kind.value}_{part}"
        plain.append(phrase(key, letter.language, **facts).strip())
        rich.append(rich_phrase(key, letter.language, marked).strip())
    for key in ("letter.greeting", "letter.closing"):
        place = 0 if key == "letter.greeting" else len(plain)
        plain.insert(place, phrase(key, letter.language, **facts))
        rich.insert(place, rich_phrase(key, letter.language, marked))
    paragraphs = [lines for part in rich for lines in part.split("\n\n")]
    mail = compile_mail(
        site,
        language=letter.language,
        subject=phrase(f"letter.{letter.kind.value}_subject", letter.language, **facts),
        body_txt="\n\n".join(plain),
        body_html="\n".join(f"<p>{text.strip()}</p>".replace("\n", "<br>\n") for text in paragraphs),
        message_id=f"l{letter.number}.{mark(letter.kind.value, str(letter.made_at))}",
        one_click=None,
    )
    path = return_path(keys, LETTER, letter.number, letter.attempt, site.bounce_domain)
    return Outgoing(letter.number, letter.attempt, to.address, to.domain, path, mail.whole(to.address, at))


def _facts(letter: Due, site: Site, links: Links) -> dict[str, str]:
    told = {name: _told(name, value, letter.language) for name, value in letter.facts.items()}
    facts = {
        "platform": site.platform,
        "controller": site.controller,
        "address": site.address,
        "contact": site.contact,
        "privacy_url": site.privacy_url,
        "own_page_url": f"{site.origin}/me",
        "undo_days": str(site.undo_days),
        "authority": phrase("letter.authority_where_you_live", letter.language),
        **told,
    }
    delivery = letter.facts.get("delivery")
    if delivery is not None:
        status = f"{site.origin}/o/{links.token(LinkPurpose.OBJECT, int(delivery))}"
        facts |= {"status_url": status, "receipt_url": f"{status}/receipt.json"}
    elif letter.kind is LetterKind.OBJECTION_UNDONE:  # by no link of a notice: where they can object again
        facts["status_url"] = facts["own_page_url"]
    if letter.facts.get("undo"):
        facts["undo_url"] = f"{site.origin}{UNDO_PATH}{links.token(LinkPurpose.UNDO, letter.number)}"
    if letter.kind is LetterKind.PAGE_LINK:
        facts["page_url"] = f"{site.origin}{PAGE_PATH}{links.token(LinkPurpose.PAGE, letter.number)}"
    return facts


def _told(name: str, value: Any, language: str) -> str:
    if name.endswith("_at"):
        at, where = parse(str(value)), locale(language)
        return f"{format_date(at.date(), format='long', locale=where)}, {format_time(at, 'short', locale=where)} UTC"
    if name.endswith("_on"):
        return format_date(date.fromisoformat(str(value)[:10]), format="long", locale=locale(language))
    if name == PARAGRAPHS:
        return re.sub("\n{3,}", "\n\n", "\n".join(map(_line, str(value).splitlines()))).strip()
    return _line(str(value))


def _line(text: str) -> str:
    """Return a text on one line: no blank line that somebody typed makes a paragraph, no control sign goes out."""
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())
