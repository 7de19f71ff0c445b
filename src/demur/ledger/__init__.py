"""The append-only Merkle-tree log of everything of consequence (docs/ledger.md).

For: flows, certificates, receipts of objections, auditors. In: events with an instant, a key and facts.
Out: indexes, signed checkpoints, proofs, openings; roots and proofs over blinded persons.
May touch: ``workspace.ledger``. May not: know a room; ask the clock; put anything personal into the public part.
Read first: tree.py, entries.py, log.py.
"""

from demur.ledger.entries import Entry, EntryKind, Opening, read_leaf, verify_opening
from demur.ledger.log import Ledger
from demur.ledger.note import Checkpoint, VerifierKey, read_checkpoint, sign_checkpoint
from demur.ledger.people_tree import (
    Absence,
    Member,
    people_root,
    prove_absence,
    prove_absences,
    prove_member,
    verify_absence,
    verify_member,
)
from demur.ledger.proof import Proof, read_proof, verify_extension, verify_proof
from demur.ledger.verify import LedgerFacts, require_intact, verify

__all__ = [
    "Absence",
    "Checkpoint",
    "Entry",
    "EntryKind",
    "Ledger",
    "LedgerFacts",
    "Member",
    "Opening",
    "Proof",
    "VerifierKey",
    "people_root",
    "prove_absence",
    "prove_absences",
    "prove_member",
    "read_checkpoint",
    "read_leaf",
    "read_proof",
    "require_intact",
    "sign_checkpoint",
    "verify",
    "verify_absence",
    "verify_extension",
    "verify_member",
    "verify_opening",
    "verify_proof",
]
