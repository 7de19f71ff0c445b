"""Room: requests of people who appear in somebody else's posts (TPD).

For: anybody, with or without an account; staff who decide. In: a form with a contact and what to look for. Out: a
queue by legal clock, proposals of items, decisions with reasons, suppressions as keyed hashes. May touch: its own
tables. May not: know the registry's tables, erase anything itself, ask the clock. Read first: docs/requests.md.
"""
