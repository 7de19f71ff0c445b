"""What became of notices, told to the registry and the ledger: from then on clocks run, and it can be proven (NOT-08).

A mail that the relay took counts as delivered until it bounces; an in-app notice only when the app says that it was
seen. In batches, each once: killed anywhere, the next step tells what is left, and telling twice is telling once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from demur.clock import from_micros, iso
from demur.flows.service import Service
from demur.ledger import Entry, EntryKind
from demur.notice import proofs
from demur.notice.audience import IN_APP
from demur.notice.proofs import Batch
from demur.terms.notice import DeliveryState
from demur.terms.people import Delivery

BATCHES = 4
"""In one step."""


def step(service: Service) -> int:
    """Tell registry and ledger what became of notices; return how many things were told."""
    done = 0
    for batch in proofs.open_batches(service.notice):
        done += _tell(service, batch)
    for _ in range(BATCHES):
        batch_or_none = proofs.next_batch(service.notice, leaf_key(service), at=service.clock())
        if batch_or_none is None:
            break
        done += _tell(service, batch_or_none)
    return done


def leaf_key(service: Service) -> bytes:
    """Return the secret of the salts in the leaves."""
    return service.parts.keys.secret("notice-leaf")


def _tell(service: Service, batch: Batch) -> int:
    service.parts.registry.record_notices(_events(batch), recorded_at=service.clock())
    states = Counter(told.state for told in batch.rows)
    facts = {
        "campaign": batch.campaign_id,
        "batch": batch.batch,
        "root": batch.root,
        "leaves": batch.leaves,
        "states": dict(states),
    }
    (index,) = service.parts.log(Entry(EntryKind.NOTICE_BATCH, batch.made_at, f"notice-batch:{batch.batch}", facts))
    proofs.close_batch(service.notice, batch.batch, index)
    return batch.leaves


def _events(batch: Batch) -> Iterator[dict[str, Any]]:
    for told in batch.rows:
        yield {
            "person_id": told.person_id,
            "campaign_id": told.campaign_id,
            "channel": told.channel,
            "state": _state(told.state, told.channel).value,
            "valid_at": iso(from_micros(told.at)),
        }


def _state(state: str, channel: str) -> Delivery:
    """What the registry calls it: only what starts a clock is *delivered* (NOT-03)."""
    if state == DeliveryState.SEEN:
        return Delivery.SEEN
    if state == DeliveryState.BOUNCED:
        return Delivery.BOUNCED
    return Delivery.SENT if channel == IN_APP else Delivery.DELIVERED
