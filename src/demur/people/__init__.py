"""Room: the registry of people, notices, objections, consents and holds, and the standing at any time.

For: whoever must know what a person's state was or is. In: PEOPLE tables, event files, single acts.
Out: events in SQL, nine Parquet files (export.py lists them).
May touch: the registry's database, the folder that it exports to. May not: read content, decide about items, ask the
clock, send anything. Read first: standing.py and epochs.py (the rules, pure), schema.py, registry.py; docs/registry.md.
"""

from demur.people.events import DOORS, FORMS, OPEN_DOORS
from demur.people.loading import Recorded, identifier_hash
from demur.people.objecting import Kept, Reach, Told, place_of
from demur.people.registry import Registry
from demur.people.restrictions import Restriction

__all__ = [
    "DOORS",
    "FORMS",
    "OPEN_DOORS",
    "Kept",
    "Reach",
    "Recorded",
    "Registry",
    "Restriction",
    "Told",
    "identifier_hash",
    "place_of",
]
