"""Room: requests of people who appear in somebody else's posts (TPD).

For: anybody, with or without an account; staff who decide. In: a form with a contact and what to look for; batches of
items. Out: a queue by legal clock, proposals of items, decisions with reasons, answers. May touch: its own tables, its
own keys, a child process that decodes a picture. May not: know the registry's tables, erase anything itself, ask the
clock. Read first: words.py, book.py; docs/requests.md.
"""

from demur.requests.book import RequestBook
from demur.requests.deadlines import alarm, due_at, due_on
from demur.requests.lasting import lasting_handles, lasting_names
from demur.requests.matcher import COLUMNS, Matcher, Similarity, fold, folded, reshares
from demur.requests.names import Names
from demur.requests.pictures import fingerprint
from demur.requests.words import (
    CONFIRMING,
    COPIES,
    Alarm,
    Claim,
    Delay,
    Found,
    Outcome,
    Proposal,
    Reason,
    Request,
    Rule,
    State,
    Verdict,
    Wanted,
    read_form,
    reference,
    with_picture,
)

__all__ = [
    "COLUMNS",
    "CONFIRMING",
    "COPIES",
    "Alarm",
    "Claim",
    "Delay",
    "Found",
    "Matcher",
    "Names",
    "Outcome",
    "Proposal",
    "Reason",
    "Request",
    "RequestBook",
    "Rule",
    "Similarity",
    "State",
    "Verdict",
    "Wanted",
    "alarm",
    "due_at",
    "due_on",
    "fingerprint",
    "fold",
    "folded",
    "lasting_handles",
    "lasting_names",
    "read_form",
    "reference",
    "reshares",
    "with_picture",
]
