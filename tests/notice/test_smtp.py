"""The SMTP client: fast, and never fooled by what a relay or an address says."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from demur.errors import BrokenError, ConfigError, OutsideError
from demur.notice.smtp import UNSENT, SmtpChannel
from demur.notice.smtp_session import Times
from demur.terms.notice import Outcome, Outgoing, Result
from demur.terms.site import Relay

from .relay import Sink, running

PATIENT = Times(connect_s=60.0, reply_s=60.0, quit_s=60.0)


class Leaping(asyncio.SelectorEventLoop):
    """A loop whose clock can be put forward."""

    ahead = 0.0

    def time(self) -> float:
        return super().time() + self.ahead

    def leap(self, seconds: float) -> None:
        self.ahead += seconds


def mail(number: int, to: str = "anna@x.example", path: str = "b@y.example", text: bytes | None = None) -> Outgoing:
    body = b"Message-ID: <%d@x>\r\n\r\nhello\r\n" % number if text is None else text
    return Outgoing(number, 1, to, "x.example", path, body)


def sent(
    sink: Sink, mails: Sequence[Outgoing], *, loop: Callable[[], Any] = uvloop.new_event_loop, **relay: Any
) -> dict[int, Result]:
    """Send over a running sink; return results by number."""

    async def work() -> list[Result]:
        tls = relay.pop("tls", None)
        host = relay.pop("host", "127.0.0.1")
        told = Relay(host=host, port=sink.port, **{"connections": 2, **relay})
        channel = SmtpChannel(told, name="here.example", tls=tls, times=PATIENT)
        await channel.open()
        try:
            async with asyncio.timeout(600):
                return [result async for result in channel.send(mails)]
        finally:
            await channel.close()

    with running(sink), asyncio.Runner(loop_factory=loop) as runner:
        found = runner.run(work())
    assert len({one.number for one in found}) == len(found)
    return {one.number: one for one in found}


@pytest.mark.parametrize("loop", [uvloop.new_event_loop, asyncio.new_event_loop], ids=["uvloop", "asyncio"])
@pytest.mark.parametrize("offers", [("PIPELINING", "8BITMIME"), ()], ids=["pipelining", "one by one"])
def test_every_mail_arrives_once_and_is_accepted(offers: tuple[str, ...], loop: Callable[[], Any]) -> None:
    sink = Sink(offers=offers)
    found = sent(sink, [mail(n) for n in range(200)], loop=loop, connections=4)
    assert sorted(sink.ids()) == sorted(f"{n}@x" for n in range(200))
    assert {one.outcome for one in found.values()} == {Outcome.ACCEPTED}
    assert {one.code for one in found.values()} == {"250 2.0.0"}
    assert len(found) == 200
    assert 1 < sink.connections <= 4
    assert sink.commands.count("QUIT") == sink.connections


def test_dots_are_stuffed_and_the_text_arrives_as_it_was() -> None:
    texts = [
        b".\r\n..\r\nMessage-ID: <1@x>\r\n\r\n.\r\n.x\r\nend",
        b"Message-ID: <2@x>\r\n\r\n\r\n.\r\n",
        b"Message-ID: <3@x>\r\n\r\nno end",
    ]
    sink = Sink()
    sent(sink, [mail(n, text=text) for n, text in enumerate(texts)], connections=1)
    assert sink.taken == [text if text.endswith(b"\r\n") else text + b"\r\n" for text in texts]


BAD = [
    "a\r\nRSET@x.example",
    "a\nb@x.example",
    "a\0b@x.example",
    "a>b@x.example",
    "a b@x.example",
    "a\rb@x.example",
    "",
]


@pytest.mark.parametrize("address", BAD)
def test_no_address_carries_a_command(address: str) -> None:
    sink = Sink()
    found = sent(sink, [mail(1, address), mail(2, path=address or "\n"), mail(3)])
    assert [found[n].outcome for n in (1, 2, 3)] == [Outcome.BOUNCED, Outcome.BOUNCED, Outcome.ACCEPTED]
    assert sink.recipients == ["TO:<anna@x.example>"]


@pytest.mark.parametrize("text", [b"a\nb\r\n", b"a\r.\r\nMAIL FROM:<x>\r\n", b"x\r\n.\nMAIL FROM:<x>\r\n", b"a\0\r\n"])
def test_a_text_with_bare_line_ends_is_refused_whole(text: bytes) -> None:
    sink = Sink()
    with pytest.raises(BrokenError):
        sent(sink, [mail(1), mail(2, text=text)])
    assert len(sink.taken) == 0


def test_refusals_say_what_they_mean_and_others_still_go() -> None:
    codes = {
        "p1": (b"550 5.1.1 no p1@x.example here\r\n", Outcome.BOUNCED, "550 5.1.1"),
        "p2": (b"450 4.2.1 later\r\n", Outcome.DEFERRED, "450 4.2.1"),
        "p3": (b"554 5.7.1 relay access denied\r\n", Outcome.DEFERRED, "554 5.7.1"),
        "p4": (b"552 5.2.2 full\r\n", Outcome.BOUNCED, "552 5.2.2"),
        "p5": (b"550 no\r\n", Outcome.BOUNCED, "550"),
        "p6": (b"530 5.7.0 log in\r\n", Outcome.DEFERRED, "530 5.7.0"),
        "p7": (b"550-5.1.1 two\r\n550 5.1.1 lines\r\n", Outcome.BOUNCED, "550 5.1.1"),
    }

    def answer(verb: str, rest: str, _n: int) -> bytes | None:
        name = rest.partition("<")[2].partition("@")[0]
        return codes[name][0] if verb == "RCPT" and name in codes else None

    for offers in (("PIPELINING",), ()):
        sink = Sink(answer=answer, offers=offers)
        found = sent(sink, [mail(n, f"p{n}@x.example") for n in range(10)], connections=1)
        for n in range(10):
            _, outcome, code = codes.get(f"p{n}", (b"", Outcome.ACCEPTED, "250 2.0.0"))
            assert (found[n].outcome, found[n].code) == (outcome, code)
        assert sorted(sink.ids()) == ["0@x", "8@x", "9@x"]


def test_a_refused_sender_never_bounces_the_person() -> None:
    sink = Sink(answer=lambda verb, *_: b"553 5.1.8 sender\r\n" if verb == "MAIL" else None)
    assert sent(sink, [mail(1)])[1] == Result(1, 1, Outcome.DEFERRED, "553 5.1.8")


def test_data_refused_or_the_text_refused() -> None:
    data = Sink(answer=lambda verb, *_: b"451 4.3.0 not now\r\n" if verb == "DATA" else None)
    assert {one.code for one in sent(data, [mail(1), mail(2)]).values()} == {"451 4.3.0"}
    text = Sink(answer=lambda verb, _r, _n: b"554 5.6.0 content\r\n" if verb == "text" else None)
    found = sent(text, [mail(1), mail(2)])
    assert {(one.outcome, one.code) for one in found.values()} == {(Outcome.BOUNCED, "554 5.6.0")}


def test_what_the_relay_cannot_carry_is_told() -> None:
    big = mail(1, text=b"x" * 200_000 + b"\r\n")
    wide = mail(2, text="Grüße\r\n".encode())
    name = mail(3, "jürgen@x.example")
    sink = Sink(offers=("PIPELINING", "SIZE 100000"))
    found = sent(sink, [big, wide, name])
    assert [found[n].code for n in (1, 2, 3)] == ["552 5.3.4", "554 5.6.3", "553 5.6.7"]
    able = Sink(offers=("PIPELINING", "SIZE 1000000", "8BITMIME", "SMTPUTF8"))
    assert {one.outcome for one in sent(able, [big, wide, name]).values()} == {Outcome.ACCEPTED}
    assert any("BODY=8BITMIME" in line for line in able.commands)
    assert any("SMTPUTF8" in line for line in able.commands)


def test_a_time_out_after_the_text_leaves_it_unknown_and_confirms_nothing_else() -> None:
    """The desync of old clients: the late 250 of one message was taken as the answer to the next (EVIDENCE §1)."""
    silent = {"from": 0}
    loop = Leaping()

    def answer(verb: str, _rest: str, _n: int) -> bytes | None:
        if verb == "text" and not silent["from"]:
            silent["from"] = sink.connections
            loop.call_soon_threadsafe(loop.leap, PATIENT.reply_s + 1)
        return b"" if silent["from"] == sink.connections else None

    sink = Sink(answer=answer)
    found = sent(sink, [mail(n) for n in range(5)], loop=lambda: loop, connections=1)
    assert len(found) == 4
    missing = {0, 1, 2, 3, 4} - set(found)
    assert len(missing) == 1
    assert {f"{n}@x" for n in found} <= set(sink.ids())
    assert sink.connections == 2


def test_a_reply_too_many_ends_the_connection() -> None:
    told = {"n": 0}

    def answer(verb: str, _rest: str, _n: int) -> bytes | None:
        if verb == "MAIL" and told["n"] == 0:
            told["n"] += 1
            return b"250 ok\r\n250 ok\r\n"
        return None

    sink = Sink(answer=answer)
    found = sent(sink, [mail(n) for n in range(3)], connections=1)
    assert sorted(sink.ids()) == ["0@x", "1@x", "2@x"]
    assert {one.outcome for one in found.values()} == {Outcome.ACCEPTED}
    assert sink.connections == 2


def test_an_answer_before_the_question_confirms_nothing() -> None:
    """A 250 sent together with the 354 would be believed for a text that was never read."""
    told = {"n": 0}

    def answer(verb: str, _rest: str, _n: int) -> bytes | None:
        if verb == "DATA":
            told["n"] += 1
            return b"354 go\r\n250 taken\r\n" if told["n"] == 1 else b"554 5.5.1 no\r\n"
        return None

    sink = Sink(answer=answer)
    found = sent(sink, [mail(1)], connections=1)
    assert found[1].outcome is Outcome.DEFERRED
    assert sink.taken == []


def test_421_and_lost_connections_move_on() -> None:
    seen = {"n": 0}

    def answer(verb: str, _rest: str, _n: int) -> bytes | None:
        if verb == "MAIL":
            seen["n"] += 1
            if seen["n"] in {3, 5}:
                return b"421 4.3.2 closing\r\n!" if seen["n"] == 3 else b"!"
        return None

    sink = Sink(answer=answer)
    found = sent(sink, [mail(n) for n in range(10)], connections=1)
    assert {one.outcome for one in found.values()} == {Outcome.ACCEPTED}
    assert sorted(sink.ids()) == [f"{n}@x" for n in range(10)]
    assert sink.connections == 3


def test_a_connection_lost_after_the_text_leaves_one_unknown() -> None:
    sink = Sink()
    sink.answer = lambda verb, _r, n: b"!" if verb == "text" and n == 2 and sink.connections == 1 else None
    found = sent(sink, [mail(n) for n in range(6)], connections=1)
    assert len(found) == 5


def test_a_relay_that_goes_away_leaves_the_rest_unsent() -> None:
    def answer(verb: str, _rest: str, n: int) -> bytes | None:
        if n >= 3:
            return b"421 4.3.2 closing\r\n!" if verb in {"MAIL", "connect"} else None
        return None

    found = sent(Sink(answer=answer), [mail(n) for n in range(8)], connections=1)
    assert sum(one.outcome is Outcome.ACCEPTED for one in found.values()) >= 3
    rest = [one for one in found.values() if one.outcome is not Outcome.ACCEPTED]
    assert rest
    assert {one.outcome for one in rest} == {Outcome.DEFERRED}
    assert UNSENT in {one.code for one in rest}


@pytest.mark.parametrize(
    "answer",
    [
        b"hello\r\n",
        b"1xx\r\n",
        b"999 x\r\n",
        b"25\r\n",
        b"2500 ok\r\n",
        b"x" * 5000,
        b"250-x\r\n" * 200,
        b"354 now\r\n",
    ],
)
def test_nonsense_ends_the_connection_and_confirms_nothing(answer: bytes) -> None:
    sink = Sink(answer=lambda verb, *_: answer if verb == "RCPT" else None)
    found = sent(sink, [mail(1)], connections=1)
    assert found[1].outcome is Outcome.DEFERRED
    assert sink.taken == []


def test_no_relay_is_the_operators_to_see() -> None:
    async def work() -> None:
        await SmtpChannel(Relay(host="127.0.0.1", port=1), times=PATIENT).open()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner, pytest.raises(OutsideError, match="relay"):
        runner.run(work())


def test_log_in() -> None:
    sink = Sink(offers=("PIPELINING", "AUTH PLAIN LOGIN"))
    assert sent(sink, [mail(1)], user="u", password="p")[1].outcome is Outcome.ACCEPTED
    assert "AUTH PLAIN AHUAcA==" in sink.commands
    wrong = Sink(offers=("AUTH PLAIN",), answer=lambda verb, *_: b"535 5.7.8 no\r\n" if verb == "AUTH" else None)
    with pytest.raises(ConfigError, match="login"):
        sent(wrong, [mail(1)], user="u", password="p")
    with pytest.raises(ConfigError, match="AUTH"):
        sent(Sink(), [mail(1)], user="u", password="p")


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for localhost and its key in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(tz=UTC)
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    made = made.serial_number(1).not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
    made = made.add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
    path = tmp_path_factory.mktemp("tls") / "cert.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM) + private)
    return path


def server_tls(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


@pytest.mark.parametrize("loop", [uvloop.new_event_loop, asyncio.new_event_loop], ids=["uvloop", "asyncio"])
def test_starttls(certificate: Path, loop: Callable[[], Any]) -> None:
    sink = Sink(offers=("PIPELINING", "STARTTLS"), tls=server_tls(certificate))
    trusted = ssl.create_default_context(cafile=certificate)
    found = sent(
        sink, [mail(n) for n in range(20)], loop=loop, host="localhost", starttls=True, tls=trusted, connections=1
    )
    assert {one.outcome for one in found.values()} == {Outcome.ACCEPTED}
    assert [line for line in sink.commands if line.startswith(("EHLO", "STARTTLS"))][:3] == [
        "EHLO here.example",
        "STARTTLS",
        "EHLO here.example",
    ]


def test_a_stranger_under_tls_is_not_believed(certificate: Path) -> None:
    sink = Sink(offers=("STARTTLS",), tls=server_tls(certificate))
    with pytest.raises(OutsideError):
        sent(sink, [mail(1)], host="localhost", starttls=True)
    with pytest.raises(ConfigError, match="STARTTLS"):
        sent(Sink(), [mail(1)], starttls=True)


def test_what_is_injected_before_tls_is_not_read_under_it(certificate: Path) -> None:
    """CVE-2011-0411 and its kin, at the client: words after the 220 in the clear."""
    sink = Sink(
        offers=("PIPELINING", "STARTTLS"),
        tls=server_tls(certificate),
        answer=lambda verb, *_: b"220 go\r\n250 injected\r\n" if verb == "STARTTLS" else None,
    )
    trusted = ssl.create_default_context(cafile=certificate)
    with pytest.raises(OutsideError, match="between"):
        sent(sink, [mail(1)], host="localhost", starttls=True, tls=trusted)
    assert sink.taken == []


def test_a_relay_that_takes_few_connections_is_served_over_those() -> None:
    sink = Sink()
    sink.answer = lambda verb, *_: b"421 4.7.0 too many\r\n!" if verb == "connect" and sink.connections > 2 else None
    found = sent(sink, [mail(n) for n in range(100)], connections=6)
    assert {one.outcome for one in found.values()} == {Outcome.ACCEPTED}
    assert len(found) == 100
    assert sink.connections <= 8
