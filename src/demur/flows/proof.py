"""Proof of what one person was told: exact text, language, channel, times, digests, all in the ledger (NOT-08).

Shows nothing of anybody else. ``verify_notice_proof`` checks it offline with the log's verifier key alone.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from demur.clock import iso
from demur.errors import BrokenError, ConfigError, InputError, RefusedError
from demur.flows.parts import kept_policy
from demur.flows.service import Service
from demur.flows.settle import leaf_key
from demur.ledger import Ledger
from demur.notice import campaigns, proofs, texts
from demur.notice.proofs import Delivered, Member, verify_notice_proof
from demur.notice.render import Addressee, Renderer
from demur.terms.notice import DeliveryState

__all__ = ["proof", "verify_notice_proof"]


def proof(service: Service, person_id: str) -> dict[str, Any]:
    """Return everything that a person was told in campaigns, each with proof as far as it went out.

    Raises:
        InputError: nobody of that id, or of one that is the same human being by the last word, is in any campaign.
    """
    people = service.parts.registry.same_as(person_id)
    found = proofs.deliveries_of(service.notice, people)
    if not found:
        raise InputError("expected a person of a campaign, found nobody of that id in any; `demur people find` helps")
    with Ledger.open(service.parts.workspace.ledger, service.parts.keys) as ledger:
        return {
            "person": person_id,
            "ledger": str(ledger.verifier_key),
            "notices": [_notice(service, ledger, one) for one in found],
        }


def _notice(service: Service, ledger: Ledger, one: Delivered) -> dict[str, Any]:
    campaign = campaigns.campaign_of(service.notice, one.campaign_id)
    text = texts.kept_texts(service.notice, one.campaign_id).get(one.language)
    excluded = one.state == DeliveryState.EXCLUDED
    return {
        "campaign": one.campaign_id,
        "person": one.person_id,
        "number": one.number,
        "country": one.country,
        "language": one.language or None,
        "channel": None if excluded else one.channel,
        "state": one.state,
        "since": iso(one.state_at),
        "not_told_because": one.detail if excluded else None,
        "effective_at": iso(campaign.effective_at),
        "notice_days": campaign.notice_days,
        "text": None if text is None or excluded else text.parts,
        "text_digest": None if text is None or excluded else text.digest,
        "proofs": [
            _proven(service, ledger, one, member)
            for member in proofs.members_of(service.notice, leaf_key(service), one.number)
        ],
    }


def _proven(service: Service, ledger: Ledger, one: Delivered, member: Member) -> dict[str, Any]:
    found: dict[str, Any] = {
        "state": member.leaf["state"],
        "at": member.leaf["at"],
        "leaf": member.leaf,
        "batch": {
            "batch": member.batch,
            "position": member.position,
            "leaves": member.leaves,
            "path": list(member.path),
            "root": member.root,
        },
        "message": _message(service, one, member),
        "ledger": None,
    }
    if member.ledger_index is not None:
        opening = asdict(ledger.opening(member.ledger_index))
        found["ledger"] = {"proof": ledger.prove(member.ledger_index).text(), "opening": opening}
    return found


def _message(service: Service, one: Delivered, member: Member) -> str | None:
    """Return the exact message again, as long as address and policy are kept; ``None`` = its digest stands for it."""
    made_at = proofs.made_at(service.notice, one.number, int(member.leaf["attempt"]))
    digest = member.leaf["message"]
    if digest is None or made_at is None or one.channel != member.leaf["channel"]:
        return None
    campaign = campaigns.campaign_of(service.notice, one.campaign_id)
    words = texts.kept_texts(service.notice, one.campaign_id)
    row = Addressee(one.number, one.person_id, one.language, one.channel, one.address or "")
    try:
        _, policy = kept_policy(service.parts.workspace, campaign.policy_digest)
        renderer = Renderer(campaign, words, service.site, service.links, service.parts.keys, policy)
        return renderer.exact(row, made_at, bytes.fromhex(digest)).decode("utf-8")
    except (BrokenError, ConfigError, InputError, RefusedError, UnicodeDecodeError):
        return None
