"""Through Postfix and opendkim for real, with the configuration that docs/mail.md shows."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import private_relay
import pytest
from aiosmtpd.controller import Controller
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key
from notice_worlds import ANNA, AT, SITE, Watch, mail_to, read_mail, renderer, service_at

from demur.flows import bounces
from demur.notice.addresses import read_return_path
from demur.notice.bounces import Became, read_report
from demur.notice.channels import Surroundings, channel_named
from demur.notice.schema import CAMPAIGNS, DELIVERIES
from demur.store import KeyRing
from demur.terms.notice import Outcome, Outgoing
from demur.terms.site import Relay

WHY_NOT = private_relay.missing()
pytestmark = pytest.mark.skipif(WHY_NOT is not None, reason=WHY_NOT or "")


@dataclass
class Sink:
    """The other side's server: knows everybody but those whose name begins with ``gone``."""

    taken: list[tuple[str, str, bytes]] = field(default_factory=list)

    async def handle_RCPT(self, _server: Any, _session: Any, envelope: Any, address: str, _options: Any) -> str:  # noqa: N802
        if address.startswith("gone"):
            return "550 5.1.1 no such user"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802
        self.taken.append((envelope.mail_from, envelope.rcpt_tos[0], envelope.original_content))
        return "250 OK"


@dataclass(frozen=True)
class Post:
    """A running relay and what stands behind it."""

    relay: private_relay.Running
    sink: Sink
    workspace: Path

    def until(self, found: Callable[[], Any]) -> Any:
        """Wait for something that the relay does in its own time."""
        until = time.monotonic() + 60
        while time.monotonic() < until:
            if got := found():
                return got
            time.sleep(0.1)
        raise AssertionError(self.relay.log()[-3000:])


@pytest.fixture(scope="module")
def post() -> Iterator[Post]:
    sink = Sink()
    workspace = Path(tempfile.mkdtemp(prefix="demur-workspace-", dir="/var/tmp"))
    workspace.chmod(0o755)
    shutil.chown(workspace, "nobody")
    with private_relay.kept_port() as port:
        behind = Controller(sink, hostname="127.0.0.1", port=port, ready_timeout=60)
        behind.start()
        try:
            with private_relay.relay(workspace, behind.port) as running:
                yield Post(running, sink, workspace)
        finally:
            behind.stop()
            shutil.rmtree(workspace)


def sent(post: Post, mail: Outgoing, folder: Path) -> Outcome:
    """Hand a mail to the relay as a campaign does."""

    async def hand_over() -> Outcome:
        site = _site(post)
        channel = channel_named("email", Surroundings(site, None, KeyRing(folder), folder))
        await channel.open()
        found = [result.outcome async for result in channel.send([mail])]
        await channel.close()
        return found[0]

    return asyncio.run(hand_over())


def _site(post: Post) -> Any:
    return replace(SITE, relay=Relay("127.0.0.1", post.relay.port, connections=1))


def test_a_notice_is_signed_with_its_unsubscribe_headers(post: Post, tmp_path: Path) -> None:
    mail = mail_to(renderer(tmp_path).render(ANNA, 1, AT))
    assert sent(post, mail, tmp_path) is Outcome.ACCEPTED
    sender, to, raw = post.until(lambda: next((one for one in post.sink.taken if one[0] == mail.return_path), None))
    assert (sender, to) == (mail.return_path, "anna@example.org")
    signed = checked(raw, post.relay.record)
    # RFC 8058 §4: both fields must be covered; once more than present, so that nobody can add one
    assert signed.count("list-unsubscribe") == signed.count("list-unsubscribe-post") == signed.count("from") == 2
    assert {"to", "subject", "date", "message-id", "content-type"} <= set(signed)
    assert raw.endswith(mail.message.partition(b"\r\n\r\n")[2])  # the relay left the body as it was
    assert read_mail(raw)["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"


def test_a_changed_link_breaks_the_signature(post: Post, tmp_path: Path) -> None:
    mail = mail_to(renderer(tmp_path).render(ANNA._replace(number=43), 1, AT))
    sent(post, mail, tmp_path)
    raw = post.until(lambda: next((one for one in post.sink.taken if one[0] == mail.return_path), None))[2]
    with pytest.raises(InvalidSignature):
        checked(raw.replace(b"/one-click>", b"/elsewhere>", 1), post.relay.record)


def test_a_rejected_recipient_comes_back_to_the_return_path(post: Post, tmp_path: Path) -> None:
    keys = KeyRing(tmp_path / "keys")
    mail = mail_to(renderer(tmp_path).render(ANNA._replace(address="gone@example.org"), 3, AT))
    assert sent(post, mail, tmp_path) is Outcome.ACCEPTED  # the relay took it; the other side's server does not
    home = post.workspace / "bounces" / "new"
    back = post.until(lambda: next((one for one in home.glob("*") if b"b-42-3-" in one.read_bytes()), None))
    raw = back.read_bytes()
    back.unlink()
    report = read_report(raw, keys)
    assert (report.became, report.number, report.attempt, report.code) == (Became.BOUNCED, 42, 3, "5.1.1")
    assert b"One button, and it is done" not in raw  # headers only: a report needs no more
    assert read_report(raw, KeyRing(tmp_path / "others")).became is Became.FORGED


def test_a_bounce_takes_the_delivery_to_the_end(post: Post, tmp_path: Path) -> None:
    with service_at(tmp_path, Watch()) as service:
        _accepted(service, 42, 5)
        made = renderer(tmp_path).render(ANNA._replace(address="gone@example.org"), 5, AT)
        sent(post, mail_to(made), tmp_path)
        home = post.workspace / "bounces" / "new"
        back = post.until(lambda: next((one for one in home.glob("*") if b"b-42-5-" in one.read_bytes()), None))
        mine = bounces.mailbox(service) / "new"
        mine.mkdir(parents=True)
        shutil.move(back, mine / back.name)
        assert (bounces.step(service), bounces.step(service)) == (1, 0)
        with service.notice.database.reading() as connection:
            row = connection.execute(DELIVERIES.select()).one()
        assert (row.state, row.detail) == ("bounced", "5.1.1")


def test_strangers_cannot_put_mail_into_the_workspace(post: Post, tmp_path: Path) -> None:
    mail = mail_to(renderer(tmp_path).render(ANNA, 1, AT))
    other = Outgoing(1, 1, "root@bounces.agora.example", "x", mail.return_path, mail.message)
    assert sent(post, other, tmp_path) is Outcome.BOUNCED
    assert read_return_path(KeyRing(tmp_path / "keys"), mail.return_path) == ("b", 42, 1)


def _accepted(service: Any, number: int, attempt: int) -> None:
    campaign = {"campaign_id": "spring", "purpose": "x", "countries": "[]", "channels": "[]", "effective_at": 0}
    campaign |= {"notice_days": 45, "status": "running", "status_at": 0, "policy": "x", "policy_digest": "x"}
    row = {"number": number, "campaign_id": "spring", "person_id": "p1", "language": "en", "channel": "email"}
    row |= {"address": "gone@example.org", "destination": "example.org", "state": "accepted", "attempt": attempt}
    with service.notice.database.writing() as connection:
        connection.execute(CAMPAIGNS.insert().values(**campaign, made_by="x", made_at=0))
        connection.execute(DELIVERIES.insert().values(**row, not_before=0, state_at=0))


def checked(raw: bytes, record: str) -> list[str]:
    """Verify a DKIM signature (RFC 6376 §6.1, relaxed/relaxed); return the names that it covers.

    Written for this test: opendkim made the signature, so another reading must check it.
    """
    head, _, body = raw.partition(b"\r\n\r\n")
    fields = [(name.strip().lower().decode(), value) for name, value in _fields(head)]
    signature = next(value for name, value in fields if name == "dkim-signature")
    tags = dict(re.findall(r"(\w+)=([^;]*)", re.sub(r"\s+", "", signature.decode())))
    assert (tags["d"], tags["s"], tags["a"], tags["c"]) == ("agora.example", "demur", "rsa-sha256", "relaxed/relaxed")
    lines = [re.sub(rb"[ \t]+", b" ", line).rstrip(b" ") for line in body.split(b"\r\n")]
    while lines and not lines[-1]:
        lines.pop()
    digest = hashlib.sha256(b"".join(line + b"\r\n" for line in lines)).digest()
    assert base64.b64decode(tags["bh"]) == digest
    names = tags["h"].lower().split(":")
    left = list(reversed(fields))
    covered = []
    for name in names:
        found = next((one for one in left if one[0] == name), None)
        if found is not None:
            left.remove(found)
            covered.append(_relaxed(name, found[1]) + b"\r\n")
    bare = re.sub(rb"(\bb=)[^;]*$", rb"\1", signature)
    covered.append(_relaxed("dkim-signature", bare))
    key = load_der_public_key(base64.b64decode(re.search(r"p=([A-Za-z0-9+/=]+)", record)[1]))
    key.verify(base64.b64decode(tags["b"]), b"".join(covered), PKCS1v15(), SHA256())
    return names


def _fields(head: bytes) -> list[tuple[bytes, bytes]]:
    unfolded = re.split(rb"\r\n(?![ \t])", head)
    return [tuple(line.split(b":", 1)) for line in unfolded]


def _relaxed(name: str, value: bytes) -> bytes:
    return name.encode() + b":" + re.sub(rb"[ \t\r\n]+", b" ", value).strip()
