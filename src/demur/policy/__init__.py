"""The policy room: which item may be used, and every reason why not.

For: the operator's rules, decided for one item (``Judge``, ``explain``) or a whole snapshot (``decide_table``).
In: a policy file or preset; ITEMS, STANDING, ACCOUNTS, RESIDENCE, HOLDS; an instant. Out: DECISIONS, counts,
explanations, what-if reports. May touch: the files it is given. May not: ask the clock, write elsewhere than its
folder, let an unknown count as yes, undo a denial.
Read first: facts.py (what rules may ask), rules.py (the rulebook), judge.py (one item), columns.py (a table).
"""

from importlib import import_module
from typing import Any

from demur.policy.decide import Allowed, Decision, Withheld, decide
from demur.policy.facts import Facts
from demur.policy.reading import DEFAULT_POLICY, parse_policy, preset_names, read
from demur.policy.resolve import Resolution, resolve
from demur.policy.rules import Rulebook, rulebook
from demur.policy.versions import Change, check, diff, show

_LAZY = {"decide_table": "columns", "explain": "explaining", "whatif": "whatif_report"}
"""Doors whose modules load the engine or Arrow; loaded when first asked for."""


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(name)
    return getattr(import_module(f"demur.policy.{_LAZY[name]}"), name)


__all__ = [
    "DEFAULT_POLICY",
    "Allowed",
    "Change",
    "Decision",
    "Facts",
    "Resolution",
    "Rulebook",
    "Withheld",
    "check",
    "decide",
    "decide_table",
    "diff",
    "explain",
    "parse_policy",
    "preset_names",
    "read",
    "resolve",
    "rulebook",
    "show",
    "whatif",
]
