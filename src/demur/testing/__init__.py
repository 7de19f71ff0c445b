"""Room: the made-up network and its ground truth.

For: the demo, tests and benchmarks of every room. In: a seed, a size, an instant. Out: people, items, events and what
is intended for each item; the same as a dump of files. May touch: the folder it is given. May not: ask the clock, use
chance that is not keyed, import a room, copy anybody's text. Read first: cast.py, works.py, truth.py.
"""

from demur.testing.base import base_text
from demur.testing.cast import CASES, Profile, World
from demur.testing.dump import truth, write_dump
from demur.testing.network import AS_OF, Network, Person
from demur.testing.truth import Expected
from demur.testing.works import Work

__all__ = [
    "AS_OF",
    "CASES",
    "Expected",
    "Network",
    "Person",
    "Profile",
    "Work",
    "World",
    "base_text",
    "truth",
    "write_dump",
]
