"""The words of demur as types: enums and frozen dataclasses, no verbs (docs/terms.md).

For: every room. In: nothing. Out: the nouns. May touch: nothing. May not: import anything of ours but errors.
Read first: content.py, reasons.py, policy.py, tables.py.
"""
