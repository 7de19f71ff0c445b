"""Media: clean forms of photos, films and voices, and what can be known of them without keeping more than that.

For: flows (build). In: files of items, a recipe, the name of a function that finds identifiers in texts. Out: clean
files, ``media.parquet``, record files. May touch: the disk, under ``folder`` and ``cache``; a worker process of its
own. May not: decode anything itself, decide, ask the clock, reach a network. Read first: darkroom.py, picture.py,
docs/media.md.
"""

from demur.media.copies import copies_of_earlier, copies_of_protected
from demur.media.darkroom import Darkroom, Developed
from demur.media.detect import Box, Detector
from demur.media.prepare import MEDIA, prepare_media, stale_media
from demur.media.recipe import RULES, Left, MediaRecipe
from demur.media.records import MediaRecord, read_media_slice, write_media_slice

__all__ = [
    "MEDIA",
    "RULES",
    "Box",
    "Darkroom",
    "Detector",
    "Developed",
    "Left",
    "MediaRecipe",
    "MediaRecord",
    "copies_of_earlier",
    "copies_of_protected",
    "prepare_media",
    "read_media_slice",
    "stale_media",
    "write_media_slice",
]
