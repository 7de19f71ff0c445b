"""Corpora: from decided items to sharded records with a manifest, and an independent check of them.

For: flows (build, erase, explain). In: paths of items, decisions and people tables; policy, recipe, keys.
Out: a corpus folder, its manifest, verdicts, differences. May touch: the disk, under ``out`` and ``work``.
May not: decide, ask the clock, know models, ledger or registry. Read first: build.py, deduplicate.py, docs/corpus.md.
"""

from demur.corpus.build import build, purge, settle
from demur.corpus.difference import Difference, SliceChange, changed_slices, difference
from demur.corpus.explain import Explained, Fate, Source, explain, fate_of, touched
from demur.corpus.inputs import CorpusInputs
from demur.corpus.manifest import check_files, read_manifest, show
from demur.corpus.recipe import Told, read_recipe
from demur.corpus.text import region_of
from demur.corpus.verify import Verdict, verify

__all__ = [
    "CorpusInputs",
    "Difference",
    "Explained",
    "Fate",
    "SliceChange",
    "Source",
    "Told",
    "Verdict",
    "build",
    "changed_slices",
    "check_files",
    "difference",
    "explain",
    "fate_of",
    "purge",
    "read_manifest",
    "read_recipe",
    "region_of",
    "settle",
    "show",
    "touched",
    "verify",
]
