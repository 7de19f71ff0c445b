"""A workspace keeps its policies in full: a release that changes a preset changes nothing about who can be erased."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from flow_worlds import LATER, POLICY, Platform

from demur.corpus import read_manifest
from demur.errors import BrokenError, ConfigError
from demur.flows.honour import erase_waiting
from demur.flows.parts import corpus_folder, keep_policy, kept_policy
from demur.flows.verify import verify_corpus
from demur.policy import read, reading
from demur.store import Workspace, digest_bytes

EUROPE = """extends = "demur-strict"
name = "ours"
[[jurisdiction]]
name = "Europe"
countries = ["EEA30", "UK"]
regime = "opt_out"
"""


@pytest.fixture
def space(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "ws")


@pytest.fixture
def next_release(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Let the preset and the sets of countries be those of another release from now on."""
    text, members = reading._text, reading.members

    def changed(name: Any) -> str:
        return text(name).replace("notice_days = 45", "notice_days = 46")

    def change() -> None:
        monkeypatch.setattr(reading, "_text", changed)
        monkeypatch.setattr(reading, "members", lambda name: members(name) - {"DE"})

    return change


def test_erasing_honouring_and_verifying_go_on_when_a_release_changes_the_preset(
    copies: Callable[..., Platform], next_release: Callable[[], None]
) -> None:
    here = copies("untrained")
    digest = read_manifest(corpus_folder(here.space)).inputs["policy"]
    next_release()
    assert read(POLICY).digest != digest
    assert verify_corpus(here.parts, None)["pending_restrictions"] == 0
    here.object("olga")
    assert erase_waiting(here.parts, clock=lambda: LATER, workers=1) is not None
    assert "olga" not in here.authors()
    assert here.clean().equal
    assert read_manifest(corpus_folder(here.space)).inputs["policy"] == digest


@pytest.mark.parametrize("reference", ["preset", "file"])
def test_what_is_kept_stands_on_nothing_else(
    space: Workspace, tmp_path: Path, next_release: Callable[[], None], reference: str
) -> None:
    (tmp_path / "ours.toml").write_text(EUROPE, encoding="utf-8")
    name = POLICY if reference == "preset" else str(tmp_path / "ours.toml")
    was = read(name)
    found = keep_policy(space, name)
    next_release()
    assert read(name) != was
    path, kept = kept_policy(space, was.digest)
    assert kept == found == read(path)
    assert reading.canonical(kept) == reading.canonical(was)
    assert digest_bytes(Path(path).read_bytes()) == was.digest == kept.digest
    assert keep_policy(space, path) == kept, "as a scheduled build names it"


def test_a_field_that_came_later_has_its_default_and_the_digest_stays(space: Workspace) -> None:
    keep_policy(space, POLICY)
    plain = orjson.loads(Path(kept_policy(space, read(POLICY).digest)[0]).read_bytes())
    del plain["copy_min_words"]
    older = orjson.dumps(plain, option=orjson.OPT_SORT_KEYS)
    (space.policies / f"{digest_bytes(older)}.json").write_bytes(older)
    path, found = kept_policy(space, digest_bytes(older))
    assert found.copy_min_words == read(POLICY).copy_min_words
    assert found.digest == digest_bytes(older)
    assert keep_policy(space, path).digest == digest_bytes(older)


def test_what_was_kept_as_a_file_is_read_as_ever_and_kept_in_full_by_the_next_build(
    copies: Callable[..., Platform], next_release: Callable[[], None]
) -> None:
    here = copies("untrained")
    digest = read(POLICY).digest
    full = here.space.policies / f"{digest}.json"
    full.unlink()
    full.with_suffix(".toml").write_text(f'extends = "{POLICY}"\n', encoding="utf-8")
    here.object("olga")
    here.erase()
    assert "olga" not in here.authors()
    assert not full.exists()
    keep_policy(here.space, kept_policy(here.space, digest)[0])
    assert full.exists()
    next_release()
    assert kept_policy(here.space, digest)[1].digest == digest
    full.unlink()
    with pytest.raises(BrokenError, match="restore it"):
        kept_policy(here.space, digest)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (
            lambda path: path.write_bytes(path.read_bytes().replace(b'"notice_days":45', b'"notice_days":44')),
            BrokenError,
        ),
        (lambda path: path.write_bytes(path.read_bytes() + b"\n"), BrokenError),
        (lambda path: path.write_bytes(b"{"), ConfigError),
        (lambda path: path.unlink(), BrokenError),
    ],
)
def test_a_kept_policy_that_was_changed_is_found_and_mended_by_the_next_build(
    space: Workspace, change: Callable[[Path], object], error: type[Exception]
) -> None:
    digest = keep_policy(space, POLICY).digest
    change(space.policies / f"{digest}.json")
    with pytest.raises(error):
        kept_policy(space, digest)
    keep_policy(space, POLICY)
    assert kept_policy(space, digest)[1].digest == digest
