"""Whatever an export holds: no source raises, nothing private has words, nothing is public that did not say so."""

from __future__ import annotations

import contextlib
import copy
import importlib.util
import json
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from demur.clock import parse
from demur.intake import Context, ItemRow, PersonRow, Unreadable, source_named
from demur.intake.check import ITEM_RULES, PERSON_RULES
from demur.intake.quarantine import REASONS

AT = parse("2026-11-22")
EXAMPLES = 2_000 if os.environ.get("DEMUR_NIGHTLY") == "1" else 25


def sibling(name):
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


accounts, talks = sibling("test_account_exports"), sibling("test_conversations")
CANARIES = (accounts.CANARY, talks.CANARY)


def telegram(folder):
    chats = [
        talks.telegram(kind, n, {"text": talks.CANARY}, {"text": [{"type": "mention", "text": talks.CANARY}]})
        for n, kind in enumerate(["private_supergroup", "personal_chat", "private_channel"], 1)
    ]
    return accounts.written(folder, {"result.json": {"chats": {"list": chats}}}, mangle=False)


def aichats(folder):
    mapping = talks.node("q", None, "user", "Wie?") | talks.node("a", "q", "assistant", "So.")
    group = [{"role": "user", "name": name, "content": talks.CANARY} for name in ("ann", "bob", "carl", "dora", "emil")]
    lines = [{"id": "g", "messages": group}, {"id": "h", "messages": [{"role": "assistant", "content": "x"}]}]
    tree = {
        "prompt": {"message_id": "1", "role": "prompter", "user_id": "u", "text": "x", "replies": [{"message_id": "2"}]}
    }
    return accounts.written(
        folder,
        {
            "conversations.json": [{"conversation_id": "c", "mapping": mapping}],
            "user.json": {"id": "user-1", "birth_year": 1990},
            "log.jsonl": "".join(json.dumps(line) + "\n" for line in [*lines, tree]),
        },
        mangle=False,
    )


def reddit(folder):
    lines = [
        talks.reddit(1, title="Roses", selftext="/u/bob", author_flair_text="Köln", subreddit_type="private"),
        talks.reddit(2, body="x", link_id="t3_a1", parent_id="t3_a1", edited=3, subreddit_type="restricted"),
        talks.reddit(
            3, title="y", crosspost_parent="t3_1", crosspost_parent_list=[{"title": "z"}], subreddit_type=None
        ),
    ]
    return accounts.written(folder, {"RS_2020-01.jsonl": "".join(json.dumps(line) + "\n" for line in lines)})


def irc(folder):
    return accounts.written(folder, {"#garden.2009-03-02.log": talks.LOG.replace("good morning", talks.CANARY)})


def slack(folder):
    return talks.slack(folder)


def closed_facebook(folder):
    accounts.facebook(folder)
    for path in folder.rglob("*.json"):
        path.write_text(path.read_text().replace("EVERYONE", "SELF"))
    return folder


def instagram(folder):
    return accounts.instagram(folder, private="True")


def x(folder):
    return accounts.x(folder, history=[(parse("2024-01-01"), "Protect")])


SOURCES = {
    "facebook": closed_facebook, "instagram": instagram, "threads": instagram, "x": x, "telegram": telegram,
    "slack": slack, "aichats": aichats, "reddit": reddit, "irc": irc,
}  # fmt: skip

JUNK = [
    *(None, True, False, 0, -1, 7, 2**70, 1e308, 0.5, "", "x", "\ud800", "a\0b", "9" * 400, "2020-01-01", "-"),
    *([], {}, [[]], {"value": {}}, {"a": [1]}, [None, 3, "x"], "@[1:2:x]", "../x.jpg", "<@>"),
]


def paths_in(value, here=()):
    yield here
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in inner:
        yield from paths_in(one, (*here, key))


def mutated(document, data):
    """Return a document of which a few places hold something else, or nothing."""
    document = copy.deepcopy(document)
    for _ in range(data.draw(st.integers(1, 3))):
        paths = list(paths_in(document))
        *above, last = ("root", *paths[data.draw(st.integers(0, len(paths) - 1))])
        holder = {"root": document}
        for key in above:
            holder = holder[key]
        if data.draw(st.integers(0, 3)) == 0 and above:
            del holder[last]
        else:
            holder[last] = copy.deepcopy(data.draw(st.sampled_from(JUNK)))
            document = holder[last] if not above else document
    return document


def rewritten(path, data):
    """Write a file anew: its JSON changed in places, or its bytes."""
    raw = path.read_bytes()
    text = raw.decode("utf-8", "replace")
    head, body = text.split("=", 1) if path.suffix == ".js" and "=" in text else ("", text)
    with contextlib.suppress(json.JSONDecodeError):
        if data.draw(st.booleans()):
            lines = path.suffix == ".jsonl"
            documents = [json.loads(line) for line in body.splitlines()] if lines else [json.loads(body)]
            at = data.draw(st.integers(0, len(documents) - 1))
            documents[at] = mutated(documents[at], data)
            changed = "\n".join(json.dumps(one) for one in documents)
            path.write_text(f"{head}={changed}" if head else changed)
            return
    begin = data.draw(st.integers(0, len(raw)))
    end = data.draw(st.integers(begin, min(len(raw), begin + 40)))
    path.write_bytes(
        raw[:begin] + data.draw(st.binary(max_size=6)) + raw[end : data.draw(st.sampled_from([None, end + 500]))]
    )


def rows_of(source, folder, mapping=None):
    for unit in source.inputs([folder]):
        context = Context(unit.service or source.name, AT, mapping)
        yield from source.read(unit, context)


@pytest.mark.parametrize("name", sorted(SOURCES))
def test_every_fixture_has_something_to_lose(tmp_path, name):
    rows = list(rows_of(source_named(name), SOURCES[name](tmp_path)))
    assert sum(isinstance(row, ItemRow) for row in rows) >= 2


@pytest.mark.parametrize("name", sorted(SOURCES))
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_nothing_raises_and_nothing_is_public_by_accident(tmp_path_factory, name, data):
    folder = SOURCES[name](tmp_path_factory.mktemp("export"))
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    rewritten(files[data.draw(st.integers(0, len(files) - 1))], data)
    declared = data.draw(st.booleans()) and name in ("instagram", "telegram", "x")
    for row in rows_of(source_named(name), folder, {"public": ["*"]} if declared else None):
        if isinstance(row, Unreadable):
            assert row.reason in REASONS
            assert row.reason != "source_failed"
            continue
        rules = ITEM_RULES if isinstance(row, ItemRow) else PERSON_RULES
        assert isinstance(row, ItemRow | PersonRow)
        assert set(row) <= rules.known
        if not isinstance(row, ItemRow):
            continue
        text = row.get("text")
        if row["kind"] == "private_message":
            assert text is None
            assert row["audience"] in ("direct", "group")
        if not declared:
            assert row.get("audience") != "public"
        if isinstance(text, str):
            assert not any(canary in text for canary in CANARIES)
