"""Room: staff accounts, roles, sessions, and the audit trail.

For: whoever must know who is acting, and may they. In: logins, the matrix of roles. Out: sessions, a trail of who did
what and looked at whom. May touch: its own tables. May not: know the registry, ask the clock. Read first: roles.py,
sessions.py, schema.py; docs/console.md.
"""

from demur.access.audit import Audit, Deed
from demur.access.book import AccessBook
from demur.access.proposals import Proposal, Proposals
from demur.access.roles import MATRIX, SCOPED, Action, Role, allows
from demur.access.sessions import Session, Sessions, Subject, csrf_token
from demur.access.staff import Staff, StaffAccounts, staff_from_claims

__all__ = [
    "MATRIX",
    "SCOPED",
    "AccessBook",
    "Action",
    "Audit",
    "Deed",
    "Proposal",
    "Proposals",
    "Role",
    "Session",
    "Sessions",
    "Staff",
    "StaffAccounts",
    "Subject",
    "allows",
    "csrf_token",
    "staff_from_claims",
]
