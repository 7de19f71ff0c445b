"""A notice as it goes out: people differ in address, link and Message-ID only, and nothing can be slipped in."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from notice_worlds import ANNA, AT, CAMPAIGN, POLICY, SITE, TEXTS, both, mail_to, read_mail, renderer, ring

from demur.errors import BrokenError, InputError
from demur.notice.addresses import Mailbox, mailbox
from demur.notice.render import Addressee, encoded_header, quoted_printable
from demur.notice.texts import Text
from demur.store import KeyRing
from demur.store.links import LinkPurpose, Links
from demur.terms.content import Kind
from demur.terms.notice import Outcome, Result

NIGHTLY = os.environ.get("DEMUR_NIGHTLY") == "1"
KEYS = ring()
MANY = settings(max_examples=20_000 if NIGHTLY else 60, deadline=None)


@pytest.mark.parametrize("language", sorted(TEXTS))
def test_a_mail_is_whole_and_says_the_same_twice(tmp_path: Path, language: str) -> None:
    made = mail_to(renderer(tmp_path).render(ANNA._replace(language=language), 1, AT))
    mail = read_mail(made.message)
    url = f"https://privacy.agora.example/o/{Links(KeyRing(tmp_path / 'keys')).token(LinkPurpose.OBJECT, 42)}"
    assert mail["To"] == "anna@example.org"
    assert mail["From"] == "Agora <notices@agora.example>"
    assert mail["Date"].datetime == AT
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Content-Language"] == language
    assert mail["List-Unsubscribe"].strip() == f"<{url}/one-click>"
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert [part.get_content_type() for part in mail.iter_parts()] == ["text/plain", "text/html"]
    for part in both(made.message):
        assert url in part
        assert "{{" not in part
        assert SITE.contact in part


def test_the_wire_form_is_seven_bit_with_short_lines(tmp_path: Path) -> None:
    made = mail_to(renderer(tmp_path).render(ANNA._replace(language="de"), 1, AT))
    lines = made.message.split(b"\r\n")
    assert max(map(len, lines)) <= 78 + len("b-") + 32  # no field or line near the limit of 998 (RFC 5322 §2.1.1)
    assert made.message.isascii()
    assert b"\n" not in made.message.replace(b"\r\n", b"")
    assert b"." not in lines


def test_nothing_remote_is_loaded_and_nothing_is_counted(tmp_path: Path) -> None:
    page = both(mail_to(renderer(tmp_path).render(ANNA, 1, AT)).message)[1]
    assert not re.search(r"(?i)\bsrc=|<img|<script|<link|<iframe|<form|url\(|@import|\bon\w+=|<base|<meta http", page)
    hosts = set(re.findall(r'href="https?://([^/"]+)', page))
    assert hosts == {"privacy.agora.example", "agora.example"}


def test_people_differ_in_address_link_and_id_only(tmp_path: Path) -> None:
    made = renderer(tmp_path)
    one = mail_to(made.render(ANNA, 1, AT)).message.decode()
    two = mail_to(
        made.render(ANNA._replace(number=43, person_id="p2", address="b@example.net"), 1, AT)
    ).message.decode()
    links = Links(KeyRing(tmp_path / "keys"))
    pairs = [(links.token(LinkPurpose.OBJECT, 42), links.token(LinkPurpose.OBJECT, 43))]
    pairs += [("anna@example.org", "b@example.net"), ("<n42.", "<n43.")]
    for mine, other in pairs:
        assert mine in one
        one = one.replace(mine, other)
    assert one == two


def test_a_retry_is_the_same_mail_on_another_return_path(tmp_path: Path) -> None:
    made = renderer(tmp_path)
    one, two = mail_to(made.render(ANNA, 1, AT)), mail_to(made.render(ANNA, 2, AT))
    assert one.message == two.message
    assert one.return_path != two.return_path
    assert mail_to(made.render(ANNA, 1, AT + timedelta(seconds=1))).message != one.message


def test_the_exact_mail_is_found_again_and_nothing_else_passes_for_it(tmp_path: Path) -> None:
    made = renderer(tmp_path)
    mail = mail_to(made.render(ANNA, 3, AT)).message
    digest = hashlib.sha256(mail).digest()
    assert renderer(tmp_path).exact(ANNA, AT, digest) == mail
    for other in (ANNA._replace(address="x@example.org"), ANNA._replace(language="de")):
        with pytest.raises(BrokenError):
            made.exact(other, AT, digest)


def test_the_exact_mail_is_found_again_after_the_key_was_rotated(tmp_path: Path) -> None:
    keys = KeyRing(tmp_path / "keys")
    keys.secret("link-object-0")
    mail = mail_to(renderer(tmp_path, links=Links(keys, 1)).render(ANNA, 1, AT)).message
    assert renderer(tmp_path, links=Links(keys, 1)).exact(ANNA, AT, hashlib.sha256(mail).digest()) == mail


@pytest.mark.parametrize(
    ("address", "code"),
    [
        ("anna@example.org\r\nBcc: all@example.org", "5.1.3"),
        ("anna@example.org\nX: y", "5.1.3"),
        ("anna@example.org\x00", "5.1.3"),
        ("anna@example.org, bob@example.org", "5.1.3"),
        ("Anna <anna@example.org>", "5.1.3"),
        ("anna@[127.0.0.1]", "5.1.3"),
        ('"a b"@example.org', "5.1.3"),
        ("anna@example.org>", "5.1.3"),
        ("a..b@example.org", "5.1.3"),
        ("@example.org", "5.1.3"),
        ("anna", "5.1.3"),
        ("", "5.1.3"),
        (f"{'a' * 65}@example.org", "5.1.3"),
        (f"a@{'b' * 63}.{'c' * 63}.{'d' * 63}.{'e' * 63}", "5.1.3"),
        ("jürgen@example.org", "5.6.7"),
        ("anna@strauß.example", "5.6.7"),  # another domain under the older rules: refused, never guessed
        ("anna@\u202eexample.org", "5.6.7"),
    ],
)
def test_an_address_that_fits_no_envelope_is_bounced_with_a_code(tmp_path: Path, address: str, code: str) -> None:
    assert renderer(tmp_path).render(ANNA._replace(address=address), 4, AT) == Result(42, 4, Outcome.BOUNCED, code)


def test_nobody_without_an_address_gets_a_mail(tmp_path: Path) -> None:
    assert renderer(tmp_path).render(ANNA._replace(address=None), 1, AT) == Result(42, 1, Outcome.BOUNCED, "5.1.3")


@MANY
@given(st.text(max_size=80) | st.emails())
def test_whatever_passes_as_an_address_is_one_header_field_and_one_recipient(address: str) -> None:
    found = mailbox(address)
    if isinstance(found, str):
        assert found in {"5.1.3", "5.6.7"}
        return
    assert isinstance(found, Mailbox)
    assert found.address.isascii()
    assert found.address.count("@") == 1
    assert not re.search(r"[\s<>,;:\"\\()\[\]\x00-\x1f\x7f]", found.address)


@MANY
@given(st.text(max_size=300))
def test_no_text_in_a_subject_makes_a_second_field(text: str) -> None:
    field = encoded_header(text, "Subject")
    assert field.isascii()
    assert re.fullmatch(r"[^\r\n]*(\r\n[ \t][^\r\n]+)*", field)


@MANY
@given(st.text(max_size=400))
def test_quoted_printable_reads_back_as_written(text: str) -> None:
    import quopri

    text = text.replace("\r", "")
    coded = quoted_printable(text)
    assert coded.isascii()
    assert all(len(line) <= 76 and line != "." for line in coded.split("\r\n"))
    assert quopri.decodestring(coded.encode()).replace(b"\r\n", b"\n") == text.encode("utf-8", "surrogatepass")


@MANY
@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=60))
def test_what_the_site_is_called_changes_no_header_and_no_markup(name: str) -> None:
    site = replace(SITE, platform=name or "x", controller=name, address=name)
    made = renderer(Path("unused"), site=site, keys=KEYS, links=Links(KEYS))
    raw = mail_to(made.render(ANNA, 1, AT)).message
    head = raw.partition(b"\r\n\r\n")[0]
    names = [line.split(b":")[0] for line in re.split(rb"\r\n(?![ \t])", head)]
    assert names == NAMES
    assert len(re.findall(r"<[a-zA-Z/]", both(raw)[1])) == TAGS


def _shape() -> tuple[list[bytes], int]:
    raw = mail_to(renderer(Path("unused"), keys=KEYS, links=Links(KEYS)).render(ANNA, 1, AT)).message
    head = raw.partition(b"\r\n\r\n")[0]
    return [line.split(b":")[0] for line in re.split(rb"\r\n(?![ \t])", head)], len(
        re.findall(r"<[a-zA-Z/]", both(raw)[1])
    )


NAMES, TAGS = _shape()


@pytest.mark.parametrize(
    "text",
    ["{{platform.__class__}}", "{% for x in y %}{% endfor %}", "{{ 7*7 }}", "{{platform|upper}}", "${7*7}", "<%= 7 %>"],
)
def test_templates_have_no_logic(tmp_path: Path, text: str) -> None:
    """What fides' CVE was about: an operator's template must not reach code."""
    texts = {"en": Text("en", "AI training", f"{{{{object_url}}}}\n\n{text}", f"<p>{text}</p>", text)}
    plain, rich = both(mail_to(renderer(tmp_path, texts=texts).render(ANNA, 1, AT)).message)
    assert text in plain
    assert text in rich


def test_what_fills_a_slot_is_never_read_as_a_slot(tmp_path: Path) -> None:
    site = replace(SITE, controller="{{object_url}} {{platform}}")
    plain = both(mail_to(renderer(tmp_path, site=site).render(ANNA, 1, AT)).message)[0]
    assert "{{object_url}} {{platform}} plans to use" in plain


def test_an_unknown_slot_is_refused(tmp_path: Path) -> None:
    texts = {"en": replace(TEXTS["en"], body_txt="{{secret}}")}
    with pytest.raises(InputError, match="secret"):
        renderer(tmp_path, texts=texts).render(ANNA, 1, AT)


def test_a_language_without_a_text_is_never_replaced_by_another(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="ja"):
        renderer(tmp_path).render(ANNA._replace(language="ja"), 1, AT)


@pytest.mark.parametrize(("erases", "says"), [(True, "is taken out again"), (False, "is not taken out by itself")])
def test_the_text_promises_what_the_policy_does(tmp_path: Path, erases: bool, says: str) -> None:
    policy = replace(POLICY, erase_on_objection=erases)
    assert says in both(mail_to(renderer(tmp_path, policy=policy).render(ANNA, 1, AT)).message)[0]


def test_a_material_change_names_what_is_new_only(tmp_path: Path) -> None:
    campaign = replace(CAMPAIGN, kinds=frozenset({Kind.VOICE, Kind.PHOTO, Kind.PRIVATE_MESSAGE}))
    plain = both(mail_to(renderer(tmp_path, campaign=campaign).render(ANNA, 1, AT)).message)[0]
    assert "This means: photos and voice messages." in plain


def test_in_app_is_json_that_carries_the_same_sentences(tmp_path: Path) -> None:
    made = mail_to(renderer(tmp_path).render(Addressee(42, 'p"1', "de", "inapp", None), 1, AT))
    told = orjson.loads(made.message)
    assert (made.destination, made.address, told["type"], told["timestamp"]) == (
        "inapp",
        'p"1',
        "notice.created",
        "2026-03-01T12:00:00Z",
    )
    assert told["data"]["person"] == 'p"1'
    assert told["data"]["object_url"] in told["data"]["text"]
    assert "27. Mai 2026" in told["data"]["text"]
    assert told["data"]["id"] == "n42"
