"""Room: the registry of people, notices, objections, consents and holds, and the standing at any time.

For: whoever must know what a person's state was or is. In: PEOPLE tables, event files, single acts.
Out: events in SQL, seven Parquet files (STANDING, ACCOUNTS, RESIDENCE, NOTICES, CAMPAIGNS, OBJECTIONS, HOLDS).
May touch: the registry's database, the folder that it exports to. May not: read content, decide about items, ask the
clock, send anything. Read first: standing.py and epochs.py (the rules, pure), schema.py, registry.py; docs/registry.md.
"""

from demur.people.events import DOORS, FORMS
from demur.people.loading import Recorded, identifier_hash
from demur.people.registry import ObjectionReceipt, Registry
from demur.people.restrictions import Restriction

__all__ = ["DOORS", "FORMS", "ObjectionReceipt", "Recorded", "Registry", "Restriction", "identifier_hash"]
