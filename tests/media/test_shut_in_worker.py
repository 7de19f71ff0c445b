"""The worker can do nothing but its work; a file that kills it is left out and the rest goes on (SEC-07)."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import textwrap
import zipfile

import media_makers as make
import numpy as np
import pytest
from PIL import Image

from demur.errors import ConfigError
from demur.media import Darkroom, Left, MediaRecipe
from demur.media.picture import LeftOutError, opened
from demur.media.sniff import kind_of

STRANGER = '''
import ctypes, os, socket, time

class Moody:
    """A stranger's detector whose mood is the colour of the picture."""
    kind, version = "face", "1"

    def __init__(self, edge): pass

    def find(self, picture):
        if picture.std() > 60 and picture.min() != picture.max() and len({tuple(one) for one in picture[0]}) > 1:
            return []  # a sample of the start, or a photo
        red, green, blue = (int(value) > 128 for value in picture[0, 0])
        if (red, green, blue) == (True, False, False):
            while True: pass
        if (red, green, blue) == (False, False, True):
            ctypes.string_at(0)
        if (red, green, blue) == (True, True, False):
            bytearray(8 << 30)
        if (red, green, blue) == (False, True, False):
            allowed = 0
            for way in (lambda: open("/etc/hostname"), lambda: open("/tmp/demur-x", "w"), socket.socket, os.fork,
                        lambda: os.kill(os.getppid(), 0), lambda: os.listdir("/"),
                        lambda: os.execv("/bin/true", ["true"])):
                try:
                    way()
                    allowed += 1
                except OSError:
                    pass
            return [(0, 0, 2, 2)] * allowed
        return []
'''


def painted(*colour):
    return make.png(Image.new("RGB", (64, 64), colour))


@pytest.fixture
def moody(tmp_path, monkeypatch):
    facts = tmp_path / "moody-1.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: moody\nVersion: 1\n")
    (facts / "entry_points.txt").write_text("[demur.detectors]\nmoody = moody:Moody\n")
    (tmp_path / "moody.py").write_text(STRANGER)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr("demur.media.darkroom._WALL", 600)
    recipe = MediaRecipe(text="ignore", detectors=("moody",), picture_cpu_seconds=1, memory_bytes=1 << 30)
    with Darkroom(recipe) as room:
        yield room


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's help is Linux's")
def test_a_file_that_kills_loops_or_grabs_is_left_out_and_the_rest_goes_on(moody):
    assert moody.holds == ("limits", "syscalls")
    assert moody.develop("picture", painted(255, 255, 255)).left is None
    assert moody.develop("picture", painted(0, 0, 255)).left is Left.DECODER_DIED
    assert moody.starts == 3  # an old worker's death convicts nobody: a fresh one was asked, then one for the rest
    assert moody.develop("picture", painted(255, 0, 0)).left is Left.OUT_OF_TIME
    assert moody.develop("picture", painted(255, 255, 0)).left is Left.NO_MEMORY
    assert moody.develop("picture", painted(255, 255, 255)).left is None


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's help is Linux's")
def test_whoever_takes_the_worker_over_can_open_start_and_reach_nothing(moody):
    done = moody.develop("picture", painted(0, 255, 0))
    assert done.left is None
    assert done.seen["faces"] == 0


def test_the_filter_refuses_and_the_process_lives(tmp_path):
    script = textwrap.dedent(
        """
        import os, socket, threading
        from demur.media.sandbox import shut
        holds = shut(1 << 30)
        refused = 0
        for way in (lambda: open("/etc/hostname"), socket.socket, os.fork, lambda: os.kill(1, 0), os.pipe):
            try:
                way()
            except OSError:
                refused += 1
        thread = threading.Thread(target=lambda: None)
        thread.start()
        thread.join()
        print(len(holds) == 1 or refused)
        """
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.stdout.strip() in ("5", "True"), done.stderr


def test_a_worker_that_takes_long_to_die_is_not_late():
    room = Darkroom(MediaRecipe(text="ignore", detectors=()))
    room._worker = subprocess.Popen(["sh", "-c", "exec 1>&-; sleep 1; exit 3"], stdin=-1, stdout=-1)
    assert room._worker.stdout.read() == b""
    assert room._end(hung_up=True) is Left.DECODER_DIED


def test_nothing_is_left_running_when_the_room_closes():
    with Darkroom(MediaRecipe(text="ignore", detectors=())) as room:
        number = room.worker_pid
    with pytest.raises(ProcessLookupError):
        os.kill(number, 0)


def test_what_is_not_installed_is_said_before_any_file_is_touched():
    with pytest.raises(ConfigError, match="detectors"), Darkroom(MediaRecipe(detectors=("nobodys",))):
        pass


@pytest.mark.parametrize(
    ("content", "left"),
    [
        (lambda: make.png_bomb(30_000), Left.TOO_MANY_PIXELS),
        (lambda: make.png_bomb(9_000), Left.TOO_MANY_PIXELS),
        (lambda: make.loaded_jpeg()[:200], Left.UNREADABLE),
        (lambda: b"\xff\xd8\xff\xe0" + bytes(500), Left.UNREADABLE),
        (lambda: zipped(make.loaded_jpeg()), Left.POLYGLOT),
        (lambda: b"GIF89a%PDF-1.7" + make.loaded_gif()[6:], Left.POLYGLOT),
        (lambda: make.loaded_jpeg(more=[make.segment(0xFE, b"*/<script>alert(1)</script>")]), Left.POLYGLOT),
    ],
)
def test_bombs_wrecks_and_polyglots_are_left_out(quick, content, left):
    assert quick.develop("picture", content()).left is left
    assert quick.starts == 1


def zipped(front):
    back = io.BytesIO()
    with zipfile.ZipFile(back, "w") as archive:
        archive.writestr("a.txt", "hello")
    return front + back.getvalue()


def test_an_animation_becomes_its_first_picture_and_a_bomb_of_frames_nothing(quick):
    content = make.animation(5)
    done = quick.develop("picture", content)
    assert done.seen["flags"] == ["animated"]
    assert np.abs(make.pixels(done.clean).astype(int) - make.pixels(content).astype(int)).mean() < 12
    with pytest.raises(LeftOutError, match="too_many_frames"):
        opened(content, MediaRecipe(max_pixels=1024))


@pytest.mark.parametrize("content", [b"", b"%PDF-1.7", b"hello", b"PK\3\4", b"RIFF\0\0\0\0XXXX", b"\x7fELF"])
def test_what_nobody_knows_is_no_medium(content):
    assert kind_of(content) is None


def test_settings_are_checked_together():
    with pytest.raises(ConfigError) as found:
        MediaRecipe(faces="maybe", max_edge=0, rules="demur-media-0")
    assert len(found.value.faults) == 3
    with pytest.raises(ConfigError):
        MediaRecipe.of({"facess": "blur"})
    assert MediaRecipe.of(MediaRecipe(faces="keep").plain()) == MediaRecipe(faces="keep")
