"""The intake room: exports, feeds and tables become the items and people tables; what cannot be read is quarantined.

For: whoever holds a platform's content. In: files of a format that a source plugin reads.
Out: Parquet parts of ITEMS and PEOPLE, QUARANTINE, and snapshots of them at an instant.
May touch: the disk under ``Workspace.source`` and ``Workspace.quarantine``.
May not: decide anything, guess an audience, ask the clock, reach the network, know people's choices.
Read first: source.py (what a plugin is), check.py (what a row must keep to), write.py, snapshot.py.
"""

from demur.intake.mapping import read_mapping
from demur.intake.places import country_of
from demur.intake.quarantine import REASONS
from demur.intake.signals_site import SiteSignals
from demur.intake.snapshot import rows_known, snapshot, snapshot_since
from demur.intake.source import Context, Input, ItemBatch, ItemRow, PersonRow, Source, Unreadable, source_named, sources
from demur.intake.write import IntakeReport, intake, state_digest

__all__ = [
    "REASONS",
    "Context",
    "Input",
    "IntakeReport",
    "ItemBatch",
    "ItemRow",
    "PersonRow",
    "SiteSignals",
    "Source",
    "Unreadable",
    "country_of",
    "intake",
    "read_mapping",
    "rows_known",
    "snapshot",
    "snapshot_since",
    "source_named",
    "sources",
    "state_digest",
]
