"""What tests of texts and mails share: a campaign, a site, the shipped texts, a renderer, a service without corpus."""

from __future__ import annotations

import atexit
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from demur.flows.service import Service
from demur.notice.render import Addressee, Renderer
from demur.notice.texts import default_texts, read_texts
from demur.policy import read
from demur.store import KeyRing, Workspace
from demur.store.links import Links
from demur.terms.notice import Campaign, Outgoing
from demur.terms.people import CampaignStatus
from demur.terms.site import Site
from demur.wiring import open_service

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
SITE = Site(origin="https://privacy.agora.example")
POLICY = read("demur-strict")
TEXTS = read_texts(default_texts())
CAMPAIGN = Campaign(
    campaign_id="spring",
    purpose="train-generative-ai",
    countries=frozenset({"DE", "IE"}),
    kinds=None,
    channels=("email", "inapp"),
    effective_at=datetime(2026, 5, 27, tzinfo=UTC),
    notice_days=45,
    status=CampaignStatus.RUNNING,
    policy="demur-strict",
    policy_digest=POLICY.digest,
    made_by="staff:1",
    made_at=AT,
)
ANNA = Addressee(42, "p1", "en", "email", "anna@example.org")


class Watch:
    """A clock that stands still until it is moved."""

    def __init__(self, at: datetime = AT) -> None:
        self.at = at

    def __call__(self) -> datetime:
        return self.at

    def pass_(self, **spans: float) -> datetime:
        self.at += timedelta(**spans)
        return self.at


def ring() -> KeyRing:
    """Return new keys, for what is made outside of a test."""
    folder = TemporaryDirectory(prefix="demur-keys-")
    atexit.register(folder.cleanup)
    return KeyRing(Path(folder.name))


def renderer(folder: Path, **changed: Any) -> Renderer:
    """Return a renderer over keys in a folder."""
    keys = KeyRing(folder / "keys")
    told = {"campaign": CAMPAIGN, "texts": TEXTS, "site": SITE, "links": Links(keys), "keys": keys, "policy": POLICY}
    return Renderer(**(told | changed))


def read_mail(raw: bytes) -> EmailMessage:
    found = message_from_bytes(raw, policy=default)
    assert isinstance(found, EmailMessage)
    assert not found.defects
    return found


def both(raw: bytes) -> tuple[str, str]:
    """Return the text part and the HTML part."""
    mail = read_mail(raw)
    return tuple(mail.get_body((kind,)).get_content() for kind in ("plain", "html"))


def mail_to(made: Any) -> Outgoing:
    assert isinstance(made, Outgoing)
    return made


@contextmanager
def service_at(root: Path, watch: Watch, **site: Any) -> Iterator[Service]:
    """Open a workspace of its own, its clock the test's."""
    with open_service(Workspace(root)) as opened:
        yield replace(opened, clock=watch, site=replace(SITE, **site))
