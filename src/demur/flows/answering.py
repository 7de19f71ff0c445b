"""The answer to a request, in the person's language: what was found, what was done, what was not and why, what next."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from demur.i18n import phrase
from demur.i18n.authorities import authority
from demur.requests import CONFIRMING, Proposal, Reason, Request, Verdict, Wanted
from demur.terms.site import Site


def answer_text(
    site: Site,
    request: Request,
    wanted: Wanted,
    proposals: Sequence[Proposal],
    evidence: Mapping[str, Any] | None,
    *,
    lasting: bool = False,
    note: str = "",
) -> str:
    """Return the text of an answer; every request can be given one (TPD-04, TPD-06).

    Args:
        site: who answers.
        request: what stands in clear.
        wanted: what was asked.
        proposals: what was found, all of it decided.
        evidence: what a model said when it was asked again.
        lasting: whether names or handles are suppressed for good.
        note: words of staff's own.
    """
    say = partial(phrase, language=request.language)
    confirmed = [one for one in proposals if one.verdict is Verdict.CONFIRMED]
    parts = [note.strip()] if note.strip() else []
    if evidence is not None:
        found = "reproduced" if evidence["reproduced"] else "not_reproduced"
        parts.append(say(f"request.answer_{found}{'_only' if found == 'reproduced' and not confirmed else ''}"))
    parts.append(say("request.answer_searched", searched=request.searched, platform=site.platform))
    if not proposals:
        parts += [say("request.answer_nothing"), *_help(wanted, say)]
    else:
        parts.append(say("request.answer_found", found=len(proposals), removed=len(confirmed)))
    if confirmed:
        parts.append(say("request.answer_removed"))
        parts += [say("request.answer_later")] if lasting else []
    reasons = Counter(one.reason for one in proposals if one.verdict is Verdict.REJECTED)
    for reason in Reason:
        if reason not in CONFIRMING and reasons[reason]:
            parts.append(
                say("request.answer_kept", count=reasons[reason], reason=say(f"request.reason_{reason.value}"))
            )
    if request.pictures and wanted.picture:
        parts.append(say("request.answer_unseen_pictures", count=request.pictures))
    if request.overflow:
        parts.append(say("request.answer_overflow"))
    where = authority(request.country or site.country)
    parts.append(say("request.answer_appeal", contact=site.contact, authority=where.name, url=where.url))
    return "\n\n".join(parts)


def _help(wanted: Wanted, say: Any) -> list[str]:
    """Return what further information would help; never more than what was not given yet (GDPR art. 11(2))."""
    missing = [
        name
        for name, told in (
            ("links", wanted.links),
            ("handles", wanted.handles),
            ("names", [name for name in wanted.names if len(name.split()) >= 2]),
            ("texts", wanted.texts),
            ("picture", wanted.picture),
        )
        if not told
    ]
    lines = [say("request.help_first"), *(f"– {say(f'request.help_{name}')}" for name in missing[:3])]
    if any(len(name.split()) < 2 for name in wanted.names):
        lines.append(say("request.help_single_word"))
    return ["\n".join(lines)] if len(lines) > 1 else []
