"""Checks a campaign's texts before anybody can approve them: what the law asks for, and what could harm a reader.

A text is data: slots are names and nothing else, HTML is a short list of tags. Every fault says file, line and what to
do; all faults are found at once. Does not judge style or translation.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from html.parser import HTMLParser

from demur.i18n import phrases
from demur.notice.lexicon import names_ai_training
from demur.notice.slots import FACTS, KNOWN, LINK, SENTENCES, Values, law, values
from demur.notice.texts import SLOT, Text
from demur.terms.content import PRIVATE_KINDS
from demur.terms.notice import Campaign
from demur.terms.policy import Policy
from demur.terms.site import Site

FIRST_SCREEN = 600
"""Signs before the link, slots filled: what a phone shows without scrolling."""
SUBJECT_SIGNS = 120
ONLY_MAIL = frozenset({"one_click"})
"""Sentences that make no sense in an app."""
_TAGS = frozenset({"p", "h2", "h3", "strong", "em", "b", "i", "a", "ul", "ol", "li", "br", "hr", "div", "blockquote"})
_VOID = frozenset({"br", "hr"})
_HREF = re.compile(r"\{\{[a-z_]+_url\}\}|https://[^\s{}\"'<>]+|mailto:(\{\{contact\}\}|[^\s{}\"'<>?]+)")
_ANY_SLOT = re.compile(r"\{\{.*?\}\}|\{\{|\}\}|\{%.*?%\}|\{%|%\}|\{#|#\}", re.DOTALL)


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """One thing that must change before the campaign can be approved."""

    file: str
    """``<language>/<part>``; ``campaign`` for what no text can mend."""
    line: int
    """From 1; 0 = the whole file."""
    text: str
    """Expected, found, what to do."""

    def __str__(self) -> str:
        return f"{self.file}{f':{self.line}' if self.line else ''}: {self.text}"


def lint(texts: Mapping[str, Text], campaign: Campaign, site: Site, policy: Policy) -> list[Fault]:
    """Return all faults, in order of file and line; empty = may be approved."""
    faults = _campaign(texts, campaign, policy)
    for text in texts.values():
        faults += _text(text, campaign, site, policy)
    return sorted(set(faults))


def missing(texts: Iterable[str], wanted: Iterable[str]) -> list[str]:
    """Return the wanted languages that have no text: people who read only these are not told, and so never used."""
    return sorted(set(wanted) - set(texts))


def _campaign(texts: Mapping[str, Text], campaign: Campaign, policy: Policy) -> list[Fault]:
    found: list[str] = []
    if not texts:
        found.append("expected a text in at least one language, found none; add a folder such as en/")
    if law(policy.legal_basis, "en") is None:
        found.append(
            "expected a policy whose legal_basis is legitimate interest, found another; a notice of the right to "
            "object is no request for consent: change the policy, or ask for consent in another way"
        )
    if campaign.kinds is not None and not campaign.kinds - PRIVATE_KINDS:
        found.append("expected at least one kind that may be used, found none; name the kinds")
    return [Fault("campaign", 0, text) for text in found]


def _text(text: Text, campaign: Campaign, site: Site, policy: Policy) -> list[Fault]:
    lacking = sorted(_needed() - _translated(text.language))
    if lacking:
        said = ", ".join(lacking[:5]) + (" …" if len(lacking) > 5 else "")
        return [
            Fault(
                f"{text.language}/",
                0,
                f"expected the standard sentences in this language, found none for {said}; translate "
                f"i18n/phrases/{text.language}/notice.toml, or remove the folder",
            )
        ]
    told = values(campaign, site, text.language, policy)
    faults: list[Fault] = []
    for part, content in text.parts.items():
        name = f"{text.language}/{part}"
        faults += _slots(name, content)
        faults += _signs(name, content)
    faults += _subject(text, told)
    for part, content in list(text.parts.items())[1:]:
        wanted = set(SENTENCES) | {LINK}
        wanted -= ONLY_MAIL if part == "inapp.txt" else set()
        for slot in sorted(wanted - set(SLOT.findall(content))):
            says = SENTENCES.get(slot, "the direct link to the button (NOT-04)")
            faults.append(
                Fault(f"{text.language}/{part}", 0, f"expected {{{{{slot}}}}}, {says}, found none; put it in")
            )
    faults += _first_screen(text, told) + _markup(text, told) + _same(text)
    return faults


def _needed() -> set[str]:
    return {key for key in phrases("en") if key.startswith("notice.")}


def _translated(language: str) -> set[str]:
    """Return what is translated into that very language; a neighbour's sentences would make a mixed text."""
    return set(phrases(language)) | set(phrases(language.partition("-")[0]))


def _line(content: str, place: int) -> int:
    return content.count("\n", 0, place) + 1


def _slots(name: str, content: str) -> list[Fault]:
    faults = []
    for match in _ANY_SLOT.finditer(content):
        slot = SLOT.fullmatch(match[0])
        if slot and slot[1] in KNOWN:
            continue
        if slot:
            text = f"expected a slot that demur knows, found {slot[1]}; the known ones are {', '.join(sorted(KNOWN))}"
        else:
            text = "expected slots such as {{platform}}, found braces in another form; slots are names without logic"
        faults.append(Fault(name, _line(content, match.start()), text))
    return faults


def _signs(name: str, content: str) -> list[Fault]:
    """Find control and format signs: they hide text, or turn its direction (Trojan Source)."""
    for place, sign in enumerate(content):
        if unicodedata.category(sign) in {"Cc", "Cf", "Co", "Cs"} and sign not in "\n\t\u200c\u200d\u00ad":
            text = f"expected readable signs, found U+{ord(sign):04X}, which readers cannot see; remove it"
            return [Fault(name, _line(content, place), text)]
    return []


def _subject(text: Text, told: Values) -> list[Fault]:
    name, faults = f"{text.language}/subject.txt", []
    if "\n" in text.subject or not text.subject:
        faults.append(Fault(name, 1, "expected one line, found none or several; write one line"))
    faults += [
        Fault(name, 1, f"expected only short facts in the subject, found {slot}; remove it")
        for slot in SLOT.findall(text.subject)
        if slot in KNOWN and slot not in FACTS
    ]
    if not names_ai_training(text.subject, text.language):
        faults.append(
            Fault(name, 1, "expected a subject that names the training of AI, found none of these words; name both")
        )
    shown = SLOT.sub(lambda match: told.plain.get(match[1], ""), text.subject)
    if len(shown) > SUBJECT_SIGNS:
        faults.append(Fault(name, 1, f"expected at most {SUBJECT_SIGNS} signs, found {len(shown)}; shorten it"))
    return faults


def _first_screen(text: Text, told: Values) -> list[Fault]:
    name = f"{text.language}/body.txt"
    lines = text.body_txt.split("\n")
    slot = f"{{{{{LINK}}}}}"
    place = next((place for place, line in enumerate(lines) if line.strip() == slot), None)
    if place is None:
        if LINK not in SLOT.findall(text.body_txt):
            return []  # said already
        return [Fault(name, 0, f"expected {slot} alone on its line, found it inside a line; give it a line of its own")]
    around = [lines[near].strip() for near in (place - 1, place + 1) if 0 <= near < len(lines)]
    faults = []
    if any(around):
        faults.append(Fault(name, place + 1, f"expected blank lines around {slot}, found text; put blank lines"))
    before = SLOT.sub(lambda match: told.plain.get(match[1], ""), "\n".join(lines[:place]))
    if len(before) > FIRST_SCREEN:
        faults.append(
            Fault(
                name,
                place + 1,
                f"expected the link after at most {FIRST_SCREEN} signs, found {len(before)}; move it up",
            )
        )
    return faults


def _same(text: Text) -> list[Fault]:
    """The two parts of a mail say the same (RFC 2046 §5.1.4)."""
    plain, rich = Counter(SLOT.findall(text.body_txt)), Counter(SLOT.findall(text.body_html))
    return [
        Fault(
            f"{text.language}/body.html",
            0,
            f"expected the same slots as in body.txt, found {slot} {rich[slot]} times and {plain[slot]} times there; "
            "let both say the same",
        )
        for slot in sorted((set(plain) | set(rich)) & KNOWN)
        if plain[slot] != rich[slot] and min(plain[slot], rich[slot]) == 0 and slot not in FACTS
    ]


def _markup(text: Text, told: Values) -> list[Fault]:
    name = f"{text.language}/body.html"
    reader = _Reader(name, told)
    reader.feed(text.body_html)
    reader.close()
    stray = [
        Fault(
            name, _line(text.body_html, match.start()), "expected &lt; for a sign that begins no tag, found <; mend it"
        )
        for match in re.finditer(r"<(?![A-Za-z/!?])", text.body_html)
    ]
    return reader.faults() + stray


class _Reader(HTMLParser):
    """Reads body.html; whatever is not on the list is a fault."""

    def __init__(self, name: str, told: Values) -> None:
        super().__init__(convert_charrefs=True)
        self._name = name
        self._told = told
        self._faults: list[Fault] = []
        self._open: list[tuple[str, int]] = []
        self._signs = 0
        self._block: list[str] = []
        """What stands in the block that is open: ``button`` or text."""
        self._buttons: list[tuple[int, int]] = []
        """Line of each button block, and signs before it."""

    def _fault(self, text: str) -> None:
        self._faults.append(Fault(self._name, self.getpos()[0], text))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in _TAGS:
            self._fault(f"expected one of the tags {', '.join(sorted(_TAGS))}, found <{tag}>; remove it")
        if tag not in _VOID:
            self._open.append((tag, self.getpos()[0]))
        for name, value in attrs:
            self._attribute(tag, name, value or "")
        given = dict(attrs)
        if tag in {"p", "div"}:
            self._block = []
        elif tag == "a" and given.get("class") == "button" and given.get("href") == f"{{{{{LINK}}}}}":
            self._block.append("button")

    def _attribute(self, tag: str, name: str, value: str) -> None:
        if tag == "a" and name == "href":
            if not _HREF.fullmatch(value):
                self._fault("expected a link to a slot such as {{object_url}}, to https: or mailto:, found another")
        elif not ((tag == "a" and name == "class" and value == "button") or name in {"lang", "dir"}):
            self._fault(f"expected no attributes but href, lang and dir, found {name}; remove it")
        elif SLOT.search(value):
            self._fault(f"expected no slot in {name}, found one; remove it")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in _VOID and tag in _TAGS:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in _VOID:
            return
        if not self._open or self._open[-1][0] != tag:
            self._fault(f"expected tags that close in order, found </{tag}>; mend it")
            return
        self._open.pop()
        if tag in {"p", "div"}:
            if self._block == ["button"]:
                self._buttons.append((self.getpos()[0], self._signs))
            self._block = []

    def handle_data(self, data: str) -> None:
        shown = " ".join(SLOT.sub(lambda match: self._told.plain.get(match[1], ""), data).split())
        inside = any(tag == "a" for tag, _ in self._open)
        if not inside:
            self._signs += len(shown)
            if shown:
                self._block.append("text")

    def handle_comment(self, data: str) -> None:  # noqa: ARG002  (the parser's signature)
        self._fault("expected no comments, found one; remove it")

    def handle_decl(self, decl: str) -> None:  # noqa: ARG002
        self._fault("expected only what stands inside the page, found <!…>; remove it: demur puts the frame around it")

    def unknown_decl(self, data: str) -> None:
        self.handle_decl(data)

    def handle_pi(self, data: str) -> None:
        self.handle_decl(data)

    def faults(self) -> list[Fault]:
        """Return everything that was found, once the text is read."""
        for tag, line in self._open:
            self._faults.append(Fault(self._name, line, f"expected </{tag}>, found none; close it"))
        if not self._buttons:
            button = f'<p><a class="button" href="{{{{{LINK}}}}}">…</a></p>'
            text = f"expected {button} alone in its block, found none; put it in"
            self._faults.append(Fault(self._name, 0, text))
        elif self._buttons[0][1] > FIRST_SCREEN:
            line, signs = self._buttons[0]
            text = f"expected the button after at most {FIRST_SCREEN} signs, found {signs}; move it up"
            self._faults.append(Fault(self._name, line, text))
        return self._faults
