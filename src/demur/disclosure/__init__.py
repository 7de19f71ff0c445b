"""Room: reports that people look at.

For: the privacy office, engineers, auditors. In: ReportFacts. Out: one HTML page. May touch: its own templates.
May not: gather, decide or compute rights. Read first: facts.py, report.py.
"""

from demur.disclosure.facts import ErasureRow, LossRow, RegionRow, ReportFacts, Share, Step, WhatIf, WhatIfRow
from demur.disclosure.report import render

__all__ = ["ErasureRow", "LossRow", "RegionRow", "ReportFacts", "Share", "Step", "WhatIf", "WhatIfRow", "render"]
