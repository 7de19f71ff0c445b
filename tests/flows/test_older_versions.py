"""Versions beside the current one: each is asked what came since it was made, and stays only if nothing of it did."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from flow_worlds import (
    AS_OF,
    LATER,
    POLICY,
    RECIPE,
    SENTINEL,
    Platform,
    item,
    items,
    opened,
    sentence,
    write_dump,
)

from demur.clock import parse
from demur.corpus import read_manifest
from demur.errors import BrokenError, RefusedError
from demur.flows.build import build_corpus, rebuild_corpus
from demur.flows.honour import erase_waiting
from demur.flows.intake import Campaign, take_in, tell
from demur.flows.parts import current
from demur.flows.pending import pending, waiting_for
from demur.flows.publish import publish
from demur.flows.schedule import adopt
from demur.media import MediaRecord
from demur.media.build import MANIFEST, MediaBuild, read_media_manifest
from demur.terms.site import Site

SOON = LATER - timedelta(hours=2)
TEXT = f"zanzibar telescope {sentence('a secret story', 16)}"
"""Somebody wrote it, or quoted with it, and Kurt pasted it."""
OTHER = f"copper lanterns {sentence('quoted words', 16)}"


def paste(text: str = TEXT) -> dict[str, Any]:
    made = "2025-05-06T10:00:00Z"
    return item("kurt-paste", "kurt", text, version_at=made, created_at=made)


def populated(here: Platform, rows: list[dict[str, Any]], *, untold: set[str]) -> None:
    """Take content in, and tell everybody but some."""
    dump = write_dump(here.space.root / "platform", rows)
    take_in(here.parts, "demo", [dump], mapping=None, service=None, at=parse("2026-01-01"))
    told = [one for one in here.parts.registry.everybody() if one.removeprefix("agora:p-") not in untold]
    campaign = Campaign("c-1", "train-generative-ai", parse("2026-03-01"), 45, "email")
    tell(here.parts, campaign, told, delivered_at=parse("2026-01-10"), at=parse("2026-01-10"))


def know(here: Platform, event: dict[str, Any], at: Any = SOON) -> None:
    here.parts.registry.record(event, recorded_at=at)


def clean(here: Platform, corpus: Path, out: Path) -> str:
    """Return the digest of a corpus as it would be made now, from nothing."""
    return rebuild_corpus(here.parts, read_manifest(corpus), narrowed_at=LATER, out=out).digest


def deleted(here: Platform, at: Any) -> None:
    """Read in that Olga's sentinel was deleted."""
    gone = item("olga-sentinel", "olga", None, state="deleted", version_at="2026-05-20T10:00:00Z")
    dump = write_dump(here.space.root / f"more-{at:%d}", [gone])
    take_in(here.parts, "demo", [dump], mapping=None, service=None, at=at)


# Who is in no record of it -------------------------------------------------------------------------------------------


def denied(here: Platform) -> Callable[[], None]:
    populated(here, [*items(), item("nils-story", "nils", TEXT), paste()], untold={"nils"})
    return lambda: here.object("nils")


def co_author(here: Platform) -> Callable[[], None]:
    story = item("mia-story", "mia", TEXT, co_account_ids=["agora:nils"])
    rows = [one for one in items() if one["account_id"] != "agora:nils"]
    populated(here, [*rows, story, paste()], untold={"nils", "mia"})
    return lambda: here.object("nils")


def former_author(here: Platform) -> Callable[[], None]:
    """Nils made the first version, Mia the second."""
    first = item("mia-story", "nils", sentence("before", 12), version_at="2025-05-04T10:00:00Z")
    rows = [one for one in items() if one["account_id"] != "agora:nils"]
    populated(here, [*rows, first, item("mia-story", "mia", TEXT), paste()], untold={"nils", "mia"})
    return lambda: here.object("nils")


def stranger(here: Platform) -> Callable[[], None]:
    populated(here, [*items(), item("story", "stranger", TEXT), paste()], untold=set())

    def act() -> None:
        know(here, {"type": "account", "account_id": "agora:stranger", "person_id": "agora:p-x"})
        here.object("x")

    return act


def former_owner(here: Platform) -> Callable[[], None]:
    populated(here, [*items(), item("nils-story", "nils", TEXT), paste()], untold={"nils"})

    def act() -> None:
        know(here, {"type": "account", "account_id": "agora:nils", "person_id": "agora:p-x",
                    "valid_at": "2019-01-01T00:00:00Z"})  # fmt: skip
        here.object("x")

    return act


def quoted(here: Platform) -> Callable[[], None]:
    """Nils is a minor: his post protects its copies, the quote of it does not, until he objects."""
    rows = [one for one in items() if one["account_id"] != "agora:nils"]
    story = item("nils-story", "nils", TEXT)
    quote = item("dora-comment", "dora", OTHER, "quote", original_id="agora:nils-story")
    populated(here, [*rows, story, quote, paste(OTHER)], untold={"nils"})
    born = {"type": "age", "person_id": "agora:p-nils", "born_on": "2012-03-04", "source": "verified"}
    know(here, born, at=parse("2026-02-01"))
    return lambda: here.object("nils")


def nobody(here: Platform) -> Callable[[], None]:
    populated(here, [*items(), paste()], untold=set())
    return lambda: know(here, {"type": "objection", "person_id": "agora:p-nobody"})


def again(here: Platform) -> Callable[[], None]:
    """Nils objected before both were made: what is learned about him changes nothing."""
    populated(here, [*items(), item("nils-story", "nils", TEXT), paste()], untold=set())
    here.object("nils", at=parse("2026-02-01"))
    moved = {"type": "residence", "person_id": "agora:p-nils", "country": "FR", "valid_from": "2026-01-01T00:00:00Z"}
    return lambda: know(here, moved)


@pytest.mark.parametrize("way", [denied, co_author, former_author, stranger, former_owner, quoted])
def test_whoever_could_begin_to_protect_a_copy_in_it_takes_it_along(way: Any, tmp_path: Path) -> None:
    with opened(tmp_path / "ws") as here:
        act = way(here)
        older = here.space.corpora / here.build().corpus_id
        here.build(recipe=here.recipe(shards=2))
        act()
        assert clean(here, older, tmp_path / "clean") != read_manifest(older).digest
        done = here.erase()
        assert "kurt-paste" not in here.records()
        assert not older.exists()
        assert f"corpora/{older.name}/manifest.json" in {one["what"] for one in here.certificate(done)["destroyed"]}


@pytest.mark.parametrize("way", [nobody, again])
def test_one_in_which_nothing_can_be_otherwise_stays(way: Any, tmp_path: Path) -> None:
    with opened(tmp_path / "ws") as here:
        act = way(here)
        older = here.space.corpora / here.build().corpus_id
        here.build(recipe=here.recipe(shards=2))
        act()
        assert waiting_for(here.parts, older)
        here.erase()
        assert waiting_for(here.parts, older) == ()
        assert clean(here, older, tmp_path / "clean") == read_manifest(older).digest


# What changed at the source ------------------------------------------------------------------------------------------


def after_a_build(here: Platform) -> str:
    """What was deleted is not in the newest version any more; it is in the one before."""
    old = str(current(here.space).corpus)
    at = AS_OF + timedelta(days=7)
    deleted(here, at - timedelta(days=1))
    build_corpus(here.parts, POLICY, RECIPE, as_of=at, known_at=at)
    return old


def before_a_build(here: Platform) -> str:
    """What was deleted is in the newest version too: it looked at an earlier instant."""
    deleted(here, AS_OF + timedelta(days=6))
    return str(here.build(recipe=here.recipe(shards=2)).corpus_id)


def into_the_past(here: Platform) -> str:
    """The import says an instant at which a version was there already."""
    old = str(current(here.space).corpus)
    deleted(here, AS_OF)
    build_corpus(here.parts, POLICY, RECIPE, as_of=LATER, known_at=LATER)
    return old


@pytest.mark.parametrize("way", [after_a_build, before_a_build, into_the_past])
def test_what_was_deleted_at_the_source_leaves_every_version(
    copies: Callable[..., Platform], tmp_path: Path, way: Any
) -> None:
    here = copies("untrained")
    old = way(here)
    assert {one.kind for one in waiting_for(here.parts, here.space.corpora / old)} == {"source"}
    assert {one.kind for one in pending(here.parts)} == {"source"}
    with pytest.raises(RefusedError, match="deletions"):
        publish(here.parts, old, tmp_path / "out", form="jsonl", site=Site(), clock=lambda: LATER)
    with pytest.raises(RefusedError, match="deletions"):
        adopt(here.parts, old)
    here.erase(LATER + timedelta(days=1))
    assert pending(here.parts) == ()
    assert not (here.space.corpora / old).exists()
    assert SENTINEL not in str(list(here.records().values()))


def test_a_version_that_does_not_say_what_it_knew_waits_for_one_erasure(copies: Callable[..., Platform]) -> None:
    here = copies("untrained")
    path = here.space.corpora / str(current(here.space).corpus) / "manifest.json"
    facts = orjson.loads(path.read_bytes())
    assert facts["inputs"].pop("source_state")
    path.write_bytes(orjson.dumps(facts))
    before = here.digests
    assert {one.kind for one in pending(here.parts)} == {"source"}
    here.erase()
    assert pending(here.parts) == ()
    assert here.digests == before


def test_versions_of_one_state_of_the_source_do_not_go_for_each_other(copies: Callable[..., Platform]) -> None:
    here = copies("untrained")
    old, at = after_a_build(here), AS_OF + timedelta(days=7)
    second = str(current(here.space).corpus)
    build_corpus(here.parts, POLICY, here.recipe(shards=2), as_of=at, known_at=at)
    assert waiting_for(here.parts, here.space.corpora / second) == ()
    here.erase(LATER + timedelta(days=1))
    assert not (here.space.corpora / old).exists()
    adopt(here.parts, second)


def test_what_an_older_version_waits_for_starts_no_erasure_unless_somebody_said_it(
    copies: Callable[..., Platform],
) -> None:
    here, at = copies("untrained"), LATER + timedelta(days=1)
    old = after_a_build(here)
    assert erase_waiting(here.parts, clock=lambda: at, workers=1) is None
    assert (here.space.corpora / old).exists()
    here.object("olga", at=LATER)
    assert erase_waiting(here.parts, clock=lambda: at, workers=1) is not None
    assert not (here.space.corpora / old).exists()


# A media build of a name that is there -------------------------------------------------------------------------------


def test_a_media_build_is_never_away_while_it_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def made(remembers: str) -> Any:
        build = MediaBuild(tmp_path / "corpus", None)
        build.add("data/en/0", [MediaRecord("r-0", "picture", b"pixels", thumbnail=b"")], [("aa", None)])
        (build.folder / "sealed").mkdir()
        (build.folder / "sealed" / "media.sealed").write_text(remembers)
        return build.finish(corpus_id="c", corpus_digest="d", recipe={}, redactor="r", tools="t")

    class Killed(BaseException):
        pass

    def seen() -> Iterator[Path]:
        return (path.parent for path in (tmp_path / "corpus").glob(f"[!.]*/{MANIFEST}"))

    def moves(last: int) -> Callable[..., Any]:
        count, real = [0], Path.rename

        def move(path: Path, target: Path, *, how: Any = real) -> Any:
            count[0] += 1
            if count[0] > last:
                raise Killed
            return how(path, target)

        return move

    first = made("one file that is gone")
    for last in range(3):
        with monkeypatch.context() as patched:
            move = moves(last)
            patched.setattr(Path, "rename", move)
            patched.setattr(Path, "replace", lambda path, target, move=move, real=Path.replace: move(
                path, target, how=real) if path.suffix != ".part" else real(path, target))  # fmt: skip
            with pytest.raises(Killed):
                made("two files that are gone")
        (whole,) = seen()
        assert read_media_manifest(whole) == first
        assert (whole / "sealed" / "media.sealed").exists()
    assert made("two files that are gone") == first
    (whole,) = seen()
    assert (whole / "sealed" / "media.sealed").read_text() == "two files that are gone"
    assert [path.name for path in (tmp_path / "corpus").iterdir()] == [first.media_id]
    with pytest.raises(BrokenError):
        read_media_manifest(tmp_path / "corpus")
