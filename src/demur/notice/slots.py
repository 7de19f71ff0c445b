"""What stands in the slots of a notice: facts of the site and the campaign, and standard sentences of the law.

A standard sentence comes from the phrases of the language, so that the linter can prove that it is there. Nothing
here is personal: the only personal slot is the link, and render.py fills it.
"""

from __future__ import annotations

import html
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from babel import Locale, UnknownLocaleError
from babel.dates import format_date
from babel.lists import format_list

from demur.i18n import fallbacks, phrase
from demur.terms.content import PRIVATE_KINDS, Kind
from demur.terms.notice import Campaign
from demur.terms.policy import Policy
from demur.terms.site import Site

LINK = "object_url"
"""The personal slot: the signed link to the button."""
FACTS = (
    *("platform", "controller", "address", "contact", "privacy_url", "settings_url"),
    *("effective_date", "notice_days", "kinds"),
)
SENTENCES = {
    "what_data": "which data and which kinds (NOT-04)",
    "never_used": "what is never used: private messages, minors (NOT-04)",
    "purpose": "what the data is used for (GDPR art. 13(1)(c))",
    "legal_basis": "the legal basis (GDPR art. 13(1)(c))",
    "not_before": "the date before which nothing is used (NOT-04)",
    "right_to_object": "the right to object (GDPR art. 21(4))",
    "afterwards": "what an objection does to what was used before (OBJ-06)",
    "no_reason_needed": "that no reason is needed (OBJ-02)",
    "one_click": "what the mail program's own unsubscribe button means (ADR 8)",
    "make_private": "how to make public items non-public (NOT-04)",
    "responsible": "the controller and its contact (GDPR art. 13(1)(a), (b))",
    "complain": "the right to complain to an authority (GDPR art. 13(2)(d))",
}
"""Slot → what the sentence of that slot says; in phrases as ``notice.<slot>``."""
KNOWN = frozenset((LINK, *FACTS, *SENTENCES))
_URLS = frozenset({"privacy_url", "settings_url"})
LAWS = {"GDPR": "notice.law_gdpr", "UK GDPR": "notice.law_uk_gdpr", "LGPD": "notice.law_lgpd"}
"""How a policy's ``legal_basis`` begins → the phrase that names the article."""


@dataclass(frozen=True, slots=True)
class Values:
    """The filled slots of one campaign in one language, for plain text and for HTML."""

    plain: Mapping[str, str]
    html: Mapping[str, str]


def locale(language: str) -> Locale:
    """Return the CLDR locale of a language, or of what its texts fall back to; English dates are European ones."""
    for tag in fallbacks(language):
        with suppress(UnknownLocaleError, ValueError):
            return Locale.parse("en_GB" if tag == "en" else tag.replace("-", "_"))
    raise AssertionError(language)  # English is the last of them


def law(legal_basis: str, language: str) -> str | None:
    """Return the article that a policy of legitimate interest rests on, in words; ``None`` when it rests on another.

    Args:
        legal_basis: as the policy says it, such as ``GDPR art. 6(1)(f): legitimate interest``.
        language: of the text.
    """
    if "legitimate interest" not in legal_basis.lower():
        return None
    begin = next((name for name in sorted(LAWS, key=len, reverse=True) if legal_basis.startswith(name)), None)
    return phrase(LAWS[begin], language) if begin else legal_basis.partition(":")[0].strip()


def kinds_in_words(kinds: frozenset[Kind] | None, language: str) -> str:
    """Return the kinds as a list in a sentence."""
    if kinds is None:
        return phrase("notice.kinds_all", language)
    names = [phrase(f"notice.kind_{kind.value}", language) for kind in Kind if kind in kinds - PRIVATE_KINDS]
    return format_list(names, style="standard", locale=locale(language))


def values(campaign: Campaign, site: Site, language: str, policy: Policy) -> Values:
    """Return what stands in every slot but the link's; what is promised is what the policy does."""
    facts = {
        "platform": site.platform,
        "controller": site.controller,
        "address": site.address,
        "contact": site.contact,
        "privacy_url": site.privacy_url,
        "settings_url": site.settings_url,
        "effective_date": format_date(campaign.effective_at.date(), format="long", locale=locale(language)),
        "notice_days": str(campaign.notice_days),
        "kinds": kinds_in_words(campaign.kinds, language),
    }
    facts = {name: " ".join(text.split()) for name, text in facts.items()}
    more = facts | {"law": law(policy.legal_basis, language) or policy.legal_basis}
    keys = {name: f"notice.{name}" for name in SENTENCES}
    keys["afterwards"] += "_erased" if policy.erase_on_objection else "_kept"
    plain = facts | {name: phrase(key, language, **more) for name, key in keys.items()}
    marked = {name: linked(name, text) for name, text in more.items()}
    rich = {name: html.escape(text) for name, text in facts.items()}
    rich |= {name: rich_phrase(key, language, marked) for name, key in keys.items()}
    return Values(plain, rich)


def linked(name: str, text: str) -> str:
    """Return a fact as HTML: addresses of pages and the contact are links, anything else is escaped."""
    safe = html.escape(text)
    if name in _URLS or (name.endswith("_url") and text.startswith(("https://", "http://"))):
        return f'<a href="{safe}">{safe}</a>'
    if name == "contact" and "@" in text:
        return f'<a href="mailto:{safe}">{safe}</a>'
    return safe


def rich_phrase(key: str, language: str, marked: Mapping[str, str]) -> str:
    """Return a phrase as HTML: its own words escaped, its slots filled with HTML that is safe already."""
    raw = html.escape(phrase(key, language, **{name: f"\x00{name}\x00" for name in marked}))
    parts = raw.split("\x00")
    return "".join(marked[part] if place % 2 else part for place, part in enumerate(parts))
