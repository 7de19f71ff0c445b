"""Messages: compiled once a campaign and language to bytes with a few slots, filled for each person in microseconds.

The only personal things in a notice are the address, the link and the Message-ID. Nothing remote is loaded and nothing
is counted when it is opened (NOT-10). Does not send.
"""

from __future__ import annotations

import hashlib
import html
from collections.abc import Callable, Mapping
from datetime import datetime
from email.header import Header
from email.utils import format_datetime, formataddr
from typing import NamedTuple, Protocol

import orjson

from demur.clock import iso
from demur.errors import BrokenError, InputError
from demur.notice.addresses import NOTICE, mailbox, return_path
from demur.notice.slots import LINK, Values, values
from demur.notice.texts import SLOT, Text
from demur.store.keys import KeyRing
from demur.store.links import LinkPurpose, Links
from demur.terms.notice import Campaign, Outcome, Outgoing, Result
from demur.terms.policy import Policy
from demur.terms.site import Site

IN_APP = "inapp"
_TOKEN = "0TOKENTOKENTOKENTOKENTOKENTOKEN0"  # noqa: S105  (32 characters, as a token has: lines wrap alike)
_NUMBER, _DATE, _TO = "0NUMBER0", "0DATE0", "0TO0"
_STYLE = (
    "body{margin:0;padding:1.5rem;font:1rem/1.5 system-ui,sans-serif;color:#16191d;background:#fff;"
    "overflow-wrap:anywhere}"
    "main{max-width:36rem;margin:auto}h1{font-size:1.375rem;line-height:1.25}h2{font-size:1.0625rem;margin-top:2rem}"
    "a{color:#0b5cad}@media(prefers-color-scheme:dark){body{color:#e8eaed;background:#16191d}a{color:#8ab8ee}}"
)
_BUTTON = (
    "display:inline-block;padding:.75rem 1.5rem;border-radius:.25rem;background:#0b5cad;color:#fff;"
    "font-weight:600;text-decoration:none"
)


class Addressed(Protocol):
    """A row of the delivery ledger, as far as a message needs it."""

    @property
    def number(self) -> int:
        """Of the delivery."""

    @property
    def person_id(self) -> str:
        """Whom the app shows it to."""

    @property
    def language(self) -> str:
        """One that the campaign has a text in."""

    @property
    def channel(self) -> str:
        """``inapp``, or anything that carries mail."""

    @property
    def address(self) -> str | None:
        """Mail address; not needed in-app."""


class Addressee(NamedTuple):
    """Whom to tell, when no row of the ledger is at hand: for a preview, or for proof."""

    number: int
    person_id: str
    language: str
    channel: str
    address: str | None


class Renderer:
    """The messages of one campaign.

    Args:
        campaign: what is announced.
        texts: language → text, as approved.
        site: who announces it.
        links: makes the personal link.
        keys: sign the return path.
        policy: in force for this campaign; the text promises what it does.
    """

    def __init__(
        self,
        campaign: Campaign,
        texts: Mapping[str, Text],
        site: Site,
        links: Links,
        keys: KeyRing,
        policy: Policy,
    ) -> None:
        self._campaign = campaign
        self._texts = texts
        self._site = site
        self._links = links
        self._keys = keys
        self._policy = policy
        self._mails: dict[str, Segments] = {}
        self._app: dict[str, Segments] = {}
        self._second: tuple[int, bytes] = (-1, b"")

    def render(self, row: Addressed, attempt: int, at: datetime) -> Outgoing | Result:
        """Return a person's message; or a bounce (5.1.3, 5.6.7) when the address can stand in no envelope.

        Args:
            row: whom to tell.
            attempt: of this delivery, from 1.
            at: the instant of this try; the mail's Date.

        Raises:
            InputError: the campaign has no text in that language (such people are excluded before).
        """
        token = self._links.token(LinkPurpose.OBJECT, row.number)
        if row.channel == IN_APP:
            body = self._segments(row.language, self._app, self._compile_app).fill(
                number=b"%d" % row.number, to=orjson.dumps(row.person_id), date=iso(at).encode(), token=token.encode()
            )
            return Outgoing(row.number, attempt, row.person_id, IN_APP, "", body)
        to = mailbox(row.address or "")
        if isinstance(to, str):
            return Result(row.number, attempt, Outcome.BOUNCED, to)
        message = self._segments(row.language, self._mails, self._compile_mail).fill(
            number=b"%d" % row.number, to=to.address.encode(), date=self._date(at), token=token.encode()
        )
        path = return_path(self._keys, NOTICE, row.number, attempt, self._site.bounce_domain)
        return Outgoing(row.number, attempt, to.address, to.domain, path, message)

    def exact(self, row: Addressed, at: datetime, digest: bytes) -> bytes:
        """Return again the exact message that a person got, for proof (NOT-08).

        Args:
            row: as it was then.
            at: the instant of the try.
            digest: SHA-256 kept with the try.

        Raises:
            BrokenError: text, site, address or key are not what they were.
        """
        for generation in range(256):
            renderer = self if generation == 0 else self._with(Links(self._keys, generation))
            found = renderer.render(row, 1, at)
            if isinstance(found, Outgoing) and hashlib.sha256(found.message).digest() == digest:
                return found.message
            if not (self._keys.folder / f"link-object-{generation + 1}.key").exists():
                break
        raise BrokenError(
            "expected the message with the kept digest, found another; site.toml or the address is not what it was "
            "then: restore site.toml and give the address of that day"
        )

    def _with(self, links: Links) -> Renderer:
        return Renderer(self._campaign, self._texts, self._site, links, self._keys, self._policy)

    def _segments(self, language: str, known: dict[str, Segments], make: Callable[[str], Segments]) -> Segments:
        found = known.get(language)
        if found is None:
            found = known[language] = make(language)
        return found

    def _date(self, at: datetime) -> bytes:
        second = int(at.timestamp())
        if second != self._second[0]:
            self._second = (second, format_datetime(at).encode())
        return self._second[1]

    def _text(self, language: str) -> tuple[Text, Values]:
        text = self._texts.get(language)
        if text is None:
            raise InputError(f"expected a text in {language}, found none; add it, or exclude those people")
        return text, values(self._campaign, self._site, language, self._policy)

    def _compile_mail(self, language: str) -> Segments:
        text, told = self._text(language)
        url = f"{self._site.origin}/o/{_TOKEN}"
        subject = filled(text.subject, told.plain, url)
        return compile_mail(
            self._site,
            language=language,
            subject=subject,
            body_txt=filled(text.body_txt, told.plain, url),
            body_html=filled(text.body_html, told.html, html.escape(url)),
            message_id=f"n{_NUMBER}.{mark(self._campaign.campaign_id)}",
            one_click=f"{url}/one-click",
        )

    def _compile_app(self, language: str) -> Segments:
        text, told = self._text(language)
        url = f"{self._site.origin}/o/{_TOKEN}"
        told_facts = {
            "id": f"n{_NUMBER}",
            "person": _TO,
            "campaign": self._campaign.campaign_id,
            "language": language,
            "title": filled(text.subject, told.plain, url),
            "text": filled(text.inapp, told.plain, url).strip(),
            "object_url": url,
            "effective_at": iso(self._campaign.effective_at),
        }
        facts = {"type": "notice.created", "timestamp": _DATE, "data": told_facts}  # as Standard Webhooks has it
        raw = orjson.dumps(facts).replace(f'"{_TO}"'.encode(), _TO.encode())
        return Segments(raw)


class Segments:
    """A message cut at its slots."""

    __slots__ = ("_names", "_parts")

    def __init__(self, raw: bytes) -> None:
        slots = {_NUMBER: "number", _DATE: "date", _TO: "to", _TOKEN: "token"}
        pieces: list[tuple[int, str, int]] = []
        for marker, name in slots.items():
            place = raw.find(marker.encode())
            while place >= 0:
                pieces.append((place, name, len(marker)))
                place = raw.find(marker.encode(), place + 1)
        self._parts: list[bytes] = []
        self._names: list[str] = []
        done = 0
        for place, name, length in sorted(pieces):
            self._parts.append(raw[done:place])
            self._names.append(name)
            done = place + length
        self._parts.append(raw[done:])

    def fill(self, *, number: bytes, to: bytes, date: bytes, token: bytes) -> bytes:
        """Return the whole message."""
        given = {"number": number, "to": to, "date": date, "token": token}
        out = [b""] * (2 * len(self._names) + 1)
        out[::2] = self._parts
        out[1::2] = [given[name] for name in self._names]
        return b"".join(out)

    def whole(self, to: str, at: datetime) -> bytes:
        """Return the message of a letter, which has no other slots."""
        return self.fill(number=b"", to=to.encode("ascii"), date=format_datetime(at).encode(), token=b"")


def compile_mail(
    site: Site, *, language: str, subject: str, body_txt: str, body_html: str, message_id: str, one_click: str | None
) -> Segments:
    """Return a whole RFC 5322 message, multipart/alternative, text first, with markers where the slots are.

    Args:
        site: who writes.
        language: of the text.
        subject: one line.
        body_txt: filled text.
        body_html: filled inner HTML; the frame is put around it.
        message_id: left side of the Message-ID.
        one_click: URL for RFC 8058; ``None`` = a letter without it.
    """
    subject = " ".join(subject.split())
    boundary = f"=_{mark(language, subject, body_txt, body_html)}"  # "=_" never occurs in quoted-printable
    domain = site.mail_from.rpartition("@")[2]
    lines = [
        f"From: {_sender(site)}",
        f"To: {_TO}",
        f"Reply-To: {site.contact}",
        f"Subject: {encoded_header(subject, 'Subject')}",
        f"Date: {_DATE}",
        f"Message-ID: <{message_id}@{domain}>",
        "Auto-Submitted: auto-generated",  # RFC 3834 §5: no holiday replies
        f"Content-Language: {language}",
        "MIME-Version: 1.0",
        f'Content-Type: multipart/alternative; boundary="{boundary}"',
    ]
    if one_click is not None:  # RFC 2369, RFC 8058; what it means: ADR 8
        lines += [f"List-Unsubscribe:\r\n <{one_click}>", "List-Unsubscribe-Post: List-Unsubscribe=One-Click"]
    for kind, text in (("plain", body_txt), ("html", _page(language, subject, body_html))):
        lines += [
            "",
            f"--{boundary}",
            f"Content-Type: text/{kind}; charset=utf-8",
            "Content-Transfer-Encoding: quoted-printable",
            "",
            quoted_printable(text.strip() + "\n"),
        ]
    return Segments(("\r\n".join([*lines, f"--{boundary}--"]) + "\r\n").encode("ascii"))


def filled(text: str, told: Mapping[str, str], url: str) -> str:
    """Return a text with its slots filled; one pass, so that what a slot brings is never read as a slot.

    Raises:
        InputError: a slot has no such name.
    """
    given = {**told, LINK: url}
    unknown = sorted({name for name in SLOT.findall(text) if name not in given})
    if unknown:
        raise InputError(f"expected slots that demur knows, found {', '.join(unknown)}; see docs/mail.md")
    return SLOT.sub(lambda match: given[match[1]], text)


def encoded_header(text: str, name: str) -> str:
    """Return a header's value as ASCII (RFC 2047), folded with CRLF; no line break of the text survives."""
    clean = " ".join(text.split())
    charset = "us-ascii" if clean.isascii() else "utf-8"
    return Header(clean, charset, header_name=name, maxlinelen=76).encode(linesep="\r\n")


def quoted_printable(text: str) -> str:
    """Return text as quoted-printable (RFC 2045 §6.7) with CRLF; a token's place is never cut in two.

    7-bit, so that no relay has a reason to change the body after it was signed (RFC 6376 §5.3).
    """
    return "\r\n".join(_line(line) for line in text.split("\n"))


def _line(line: str) -> str:
    out, width = [], 0
    units = _units(line.rstrip("\r"))
    for place, unit in enumerate(units):
        last = place == len(units) - 1
        piece = "=20" if last and unit == " " else "=09" if last and unit == "\t" else unit
        if width + len(piece) > (76 if last else 75):
            out.append("=\r\n")
            width = 0
        if width == 0 and piece == ".":  # a line of one dot ends SMTP's DATA; relays differ in how they undo stuffing
            piece = "=2E"
        out.append(piece)
        width += len(piece)
    return "".join(out)


def _units(line: str) -> list[str]:
    units: list[str] = []
    for place, piece in enumerate(line.split(_TOKEN)):
        if place:
            units.append(_TOKEN)
        for char in piece:
            plain = (" " <= char <= "~" and char != "=") or char == "\t"
            units.append(char if plain else "".join(f"={byte:02X}" for byte in char.encode()))
    return units


def _sender(site: Site) -> str:
    name = " ".join(site.platform.split())
    if name.isascii():
        return formataddr((name, site.mail_from))
    return f"{encoded_header(name, 'From')} <{site.mail_from}>"


def _page(language: str, subject: str, body: str) -> str:
    body = body.replace('<a class="button"', f'<a class="button" style="{_BUTTON}"')
    return (
        f'<!doctype html>\n<html lang="{html.escape(language)}" dir="auto">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width">\n<meta name="color-scheme" content="light dark">\n'
        f"<title>{html.escape(subject)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<main>\n"
        f"<h1>{html.escape(subject)}</h1>\n{body.strip()}\n</main>\n</body>\n</html>"
    )


def mark(*parts: str) -> str:
    """Return a short mark of texts: sixteen hex digits of SHA-256."""
    return hashlib.sha256("\x00".join(parts).encode()).hexdigest()[:16]
