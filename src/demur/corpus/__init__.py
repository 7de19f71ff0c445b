"""Corpora: from decided items to sharded records with a manifest, and an independent check of them.

For: flows (build, erase, explain). In: paths of items, decisions and people tables; policy, recipe, keys.
Out: a corpus folder, its manifest, verdicts, differences. May touch: the disk, under ``out`` and ``work``.
May not: decide, ask the clock, know models, ledger or registry. Read first: build.py, deduplicate.py, docs/corpus.md.
"""

from demur.corpus.build import CorpusInputs, build, purge
from demur.corpus.manifest import check_files, read_manifest, show

__all__ = ["CorpusInputs", "build", "check_files", "purge", "read_manifest", "show"]
