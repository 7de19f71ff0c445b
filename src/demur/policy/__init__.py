"""The policy room: which item may be used, and every reason why not.

For: the operator's rules, decided for one item (``Judge``, ``explain``) or a whole snapshot (``decide_table``).
In: a policy file or preset; ITEMS, STANDING, ACCOUNTS, RESIDENCE, HOLDS; an instant. Out: DECISIONS, counts,
explanations, what-if reports. May touch: the files it is given. May not: ask the clock, write elsewhere than its
folder, let an unknown count as yes, undo a denial.
Read first: facts.py (what rules may ask), rules.py (the rulebook), judge.py (one item), columns.py (a table).
"""

from demur.policy.decide import Allowed, Decision, Withheld, decide
from demur.policy.facts import Facts
from demur.policy.reading import DEFAULT_POLICY, parse_policy, preset_names, read
from demur.policy.resolve import Resolution, resolve
from demur.policy.rules import Rulebook, rulebook

__all__ = [
    "DEFAULT_POLICY",
    "Allowed",
    "Decision",
    "Facts",
    "Resolution",
    "Rulebook",
    "Withheld",
    "decide",
    "parse_policy",
    "preset_names",
    "read",
    "resolve",
    "rulebook",
]
