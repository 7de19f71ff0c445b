"""Sessions of staff and members: a random token in a cookie, its digest in a table.

A login always gets a new token, so nobody can plant one (session fixation). What a session may do is not decided here.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

import sqlalchemy as sa

from demur.access.schema import SESSIONS
from demur.clock import from_micros, micros
from demur.store.database import Database

_TOKEN_BYTES = 32
_NOTED_SECONDS = 60
"""Being seen is noted once a minute, so that reading pages hardly writes."""


class Subject(StrEnum):
    """Whose session it is."""

    STAFF = "staff"
    MEMBER = "member"


LIFETIME = {Subject.STAFF: timedelta(hours=10), Subject.MEMBER: timedelta(hours=1)}
"""A session ends then, whatever happens."""
IDLE = {Subject.STAFF: timedelta(minutes=60), Subject.MEMBER: timedelta(minutes=30)}
"""And when nothing was asked for so long."""


@dataclass(frozen=True, slots=True)
class Session:
    """Somebody who is logged in."""

    subject: str
    """Staff id, or person id."""
    kind: Subject
    made_at: datetime
    expires_at: datetime
    csrf: str
    """What every form of this session carries; made from the token, which is kept nowhere."""

    def same_csrf(self, told: str) -> bool:
        """Say whether a form came from a page of this session (constant time)."""
        return hmac.compare_digest(self.csrf.encode(), told.encode())


class Sessions:
    """Opens, reads and closes sessions.

    Args:
        database: of the access room, migrated.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def open(self, subject: str, kind: Subject, at: datetime) -> str:
        """Begin a session and return its token, for a cookie: 43 characters. What has expired is swept."""
        token = secrets.token_urlsafe(_TOKEN_BYTES)
        row = (_digest(token), kind.value, subject, micros(at), micros(at + LIFETIME[kind]), micros(at))
        with self._database.writing() as connection:
            connection.execute(sa.delete(SESSIONS).where(SESSIONS.c.expires_at <= micros(at)))
            connection.execute(sa.insert(SESSIONS).values(row))
        return token

    def read(self, token: str | None, at: datetime, kind: Subject) -> Session | None:
        """Return the session of a token, or ``None`` when there is none of that kind, or it is over."""
        if not token:
            return None
        digest, now = _digest(token), micros(at)
        same = sa.and_(SESSIONS.c.token_digest == digest, SESSIONS.c.kind == kind.value)
        with self._database.reading() as connection:
            found = connection.execute(sa.select(SESSIONS).where(same)).first()
        if found is None or now >= found.expires_at or now >= found.seen_at + IDLE[kind] // timedelta(microseconds=1):
            return None
        if now - found.seen_at >= _NOTED_SECONDS * 1_000_000:
            with self._database.writing() as connection:
                connection.execute(sa.update(SESSIONS).where(same).values(seen_at=now))
        return Session(
            found.subject, kind, from_micros(found.made_at), from_micros(found.expires_at), csrf_token(token)
        )

    def close(self, token: str | None) -> None:
        """End a session; an unknown one is over already."""
        if token:
            with self._database.writing() as connection:
                connection.execute(sa.delete(SESSIONS).where(SESSIONS.c.token_digest == _digest(token)))

    def close_all(self, subject: str, kind: Subject) -> None:
        """End every session of somebody (password changed, account disabled)."""
        theirs = sa.and_(SESSIONS.c.subject == subject, SESSIONS.c.kind == kind.value)
        with self._database.writing() as connection:
            connection.execute(sa.delete(SESSIONS).where(theirs))


def csrf_token(secret: str) -> str:
    """Return what a form carries to show that it came from a page of ours: an HMAC under the cookie's secret."""
    return hmac.digest(secret.encode(), b"demur form", "sha256").hex()


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
