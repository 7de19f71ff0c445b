"""What every page shares: templates, the language that it speaks, phrases, how it is answered."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, partial
from typing import Any
from urllib.parse import urlencode

from babel import Locale
from babel.dates import format_date, format_datetime
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from starlette.requests import Request
from starlette.responses import HTMLResponse

from demur.flows.service import Service
from demur.i18n import LAST, fallbacks, phrase, phrase_languages

RIGHT_TO_LEFT = frozenset({"ar", "fa", "he", "ur"})


@cache
def environment() -> Environment:
    """Return the one template environment: escaping always on, an unknown name is an error."""
    found = Environment(
        loader=PackageLoader("demur.web"),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters["grouped"] = lambda number: f"{number:,}".replace(",", "\u202f")
    return found


def service_of(request: Request) -> Service:
    """Return the parts that the application was built with."""
    found: Service = request.app.state.service
    return found


def language_of(request: Request, *preferred: str | None) -> str:
    """Return a page's language: ``?lang=``, then what is known of the person, then Accept-Language, then English.

    Who reads none of ours gets what they understand best, as in letters (``i18n.fallbacks``).
    """
    known = [one for one in (request.query_params.get("lang"), *preferred) if one]
    accepted = _accepted(request.headers.get("accept-language", ""))
    tried = [*map(_understood, known), [_short(tag) for tag in accepted], *map(_understood, accepted)]
    return next((tag for some in tried for tag in some if tag in phrase_languages()), LAST)


def _short(tag: str) -> str:
    return tag.replace("_", "-").split("-", maxsplit=1)[0].lower()


def _understood(tag: str) -> list[str]:
    """Return a language and what its readers understand best; English is for those who say so, and for the end."""
    short = _short(tag)
    return [one for one in fallbacks(short) if one != LAST or short == LAST]


def _accepted(header: str) -> list[str]:
    """Return the tags of an Accept-Language field, best first (RFC 9110 §12.5.4)."""
    weighed: list[tuple[float, int, str]] = []
    for place, part in enumerate(header.split(",")[:20]):
        tag, _, weight = part.strip().partition(";q=")
        try:
            weighed.append((-float(weight or 1), place, tag.strip()))
        except ValueError:
            continue
    return [tag for _, _, tag in sorted(weighed)]


def page(
    request: Request,
    template: str,
    *,
    language: str | None = None,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    **facts: Any,
) -> HTMLResponse:
    """Answer with a page.

    Args:
        request: what was asked.
        template: file under ``web/templates``.
        language: of the page; ``None`` = negotiated.
        status: HTTP status.
        headers: more headers.
        facts: names for the template, beside ``_`` (phrase), ``date``, ``instant``, ``site``, ``lang``, ``dir``, and
            ``to``, a link that keeps the language that was asked for.
    """
    tongue = language or language_of(request)
    text = (
        environment()
        .get_template(template)
        .render(
            _=partial(phrase, language=tongue),
            lang=tongue,
            dir="rtl" if tongue in RIGHT_TO_LEFT else "ltr",
            site=service_of(request).site,
            languages=_names(),
            date=partial(format_date, format="long", locale=locale(tongue)),
            instant=partial(format_datetime, format="long", locale=locale(tongue)),
            path=request.url.path,
            to=partial(_to, {"lang": tongue} if request.query_params.get("lang") else {}),
            **facts,
        )
    )
    more = {"content-language": tongue, "cache-control": "no-store", "vary": "Accept-Language", **(headers or {})}
    return HTMLResponse(text, status, more)


def _to(kept: Mapping[str, str], path: str, **query: str | int) -> str:
    told = {**query, **kept}
    return f"{path}?{urlencode(told)}" if told else path


@cache
def locale(language: str) -> Locale:
    """Return the CLDR locale of a language; day and hour formats follow it."""
    return Locale.parse("en_GB" if language == "en" else language)


@cache
def _names() -> list[tuple[str, str]]:
    return [(tag, phrase("common.language_name", tag)) for tag in phrase_languages()]
