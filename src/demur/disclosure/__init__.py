"""Room: reports that people look at.

For: the privacy office, engineers, auditors. In: ReportFacts, ChangeFacts. Out: one HTML page. May touch: its own
templates.
May not: gather, decide or compute rights. Read first: facts.py, report.py, changes.py.
"""

from demur.disclosure.changes import ChangeFacts, Decided, Moved, VersionFacts, Why, render_changes
from demur.disclosure.facts import ErasureRow, LossRow, RegionRow, ReportFacts, Share, Step, WhatIf, WhatIfRow
from demur.disclosure.report import render

__all__ = [
    "ChangeFacts",
    "Decided",
    "ErasureRow",
    "LossRow",
    "Moved",
    "RegionRow",
    "ReportFacts",
    "Share",
    "Step",
    "VersionFacts",
    "WhatIf",
    "WhatIfRow",
    "Why",
    "render",
    "render_changes",
]
