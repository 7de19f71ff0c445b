"""Taking people out of corpora and models, exactly, with proof (docs/erasure.md, docs/certificate.md).

For: the erase flow, auditors. In: two manifests, a person's request, receipts, what was destroyed.
Out: a plan, a journal that goes on where it was killed, a certificate that outsiders can check.
May touch: ``workspace.erasures``, and the files that it is told to destroy. May not: train, build, decide; ask the
clock; issue a certificate on an approximate method. Read first: plan.py, certificate.py, verify_certificate.py.
"""

from demur.erasure.certificate import (
    Certificate,
    Draft,
    ModelChange,
    Phases,
    draft,
    file_digests,
    issue,
    load_draft,
    render_text,
    request_commitment,
    verify,
)
from demur.erasure.destroy import Destroyed, Destruction, back
from demur.erasure.journal import STEPS, Journal, unfinished
from demur.erasure.plan import RecordDelta, expected_cost, first_touched, plan, render_plan
from demur.erasure.search import Search, find_sentinel, look_for

__all__ = [
    "STEPS",
    "Certificate",
    "Destroyed",
    "Destruction",
    "Draft",
    "Journal",
    "ModelChange",
    "Phases",
    "RecordDelta",
    "Search",
    "back",
    "draft",
    "expected_cost",
    "file_digests",
    "find_sentinel",
    "first_touched",
    "issue",
    "load_draft",
    "look_for",
    "plan",
    "render_plan",
    "render_text",
    "request_commitment",
    "unfinished",
    "verify",
]
