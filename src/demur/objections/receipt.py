"""The receipt of an objection: one JSON file that its holder can check offline, without us, for ever.

Structured after ISO/IEC TS 27560:2023 (through the W3C's Data Privacy Vocabulary), with an event state of our own:
``objected`` (REQUIREMENTS §5.9). It names nobody: the person is a blinded id. ``verify_receipt.py`` checks it alone.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from demur.ledger import Opening
from demur.objections.verify_receipt import FORMAT, STATES, canonical


@dataclass(frozen=True, slots=True)
class Context:
    """Who answers for the objection, and where to complain."""

    controller: str
    platform: str
    address: str
    contact: str
    notice_url: str
    language: str
    authority: str
    authority_url: str


def make_receipt(
    opening: Opening, proof: str, ledger_key: str, context: Context, signer: Ed25519PrivateKey
) -> dict[str, Any]:
    """Return a signed receipt.

    Args:
        opening: salt and facts of the ledger's entry; the receipt shows all of them.
        proof: ``c2sp.org/tlog-proof`` text of the entry.
        ledger_key: verifier key of the log, of the same key pair as ``signer``.
        context: what is not in the ledger.
        signer: signs everything, so that no field can be changed.
    """
    facts = opening.facts
    body = {
        "format": FORMAT,
        "schema_version": "ISO/IEC TS 27560:2023 (structure; event state extended)",
        "record_id": facts["objection"],
        "receipt_id": f"{facts['objection']}/{opening.index}",
        "principal_id": facts["person"],
        "notice": {"url": context.notice_url, "language": context.language},
        "processing": {
            "purpose": "training of generative artificial intelligence",
            "lawful_basis_objected_to": "legitimate interests (GDPR art. 6(1)(f))",
            "personal_information": {"kinds": facts["kinds"], "services": facts["services"]},
            "collection_method": f"what the person made on {context.platform}, and what others made of it",
            "storage_locations": "as the notice says",
            "retention": "the objection is kept until it is withdrawn",
            "recipients": "as the notice says",
            "withdrawal_method": "logged in, with a second confirmation; never by this receipt or by a link in a mail",
            "rights": ["object (art. 21)", "erase (art. 17)", "access (art. 15)", "complain (art. 77)"],
        },
        "parties": [
            {"id": "controller", "role": "controller", "name": context.controller, "address": context.address,
             "contact": context.contact},
            {"id": "authority", "role": "authority", "name": context.authority, "url": context.authority_url},
        ],
        "event": {
            "type": "objection to processing (GDPR art. 21)",
            "state": STATES[facts["act"]],
            "time": facts["valid_at"],
            "recorded_at": facts["recorded_at"],
            "door": facts["door"],
            "validity": "until withdrawn by the person",
            "entity_id": facts["person"],
        },
        "opening": {"index": opening.index, "salt": opening.salt, "facts": facts},
        "proof": proof,
        "ledger_key": ledger_key,
    }  # fmt: skip
    return {**body, "signature": base64.b64encode(signer.sign(canonical(body))).decode()}
