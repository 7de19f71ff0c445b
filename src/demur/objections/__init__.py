"""Room: what a person who objects gets in hand, and how anybody checks it.

For: pages, the API, staff, auditors. In: an objection that was recorded, its place in the ledger. Out: receipts
(JSON with a ``c2sp.org/tlog-proof``), verdicts over them, objections read from standard signals. May touch: nothing
but what is handed in. May not: know the registry's tables, refuse an objection, ask the clock. Read first:
docs/objections.md.
"""
