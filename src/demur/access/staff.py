"""Staff accounts: made by the operator, never deleted (the audit trail names them), logged in with a password or OIDC.

A login says nothing about which accounts there are: same answer, same work, same waiting for an unknown one.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from demur.access.passwords import hashed, matches
from demur.access.roles import SCOPED, Role
from demur.access.schema import ATTEMPTS, STAFF
from demur.clock import from_micros, micros
from demur.errors import InputError, RefusedError
from demur.store.database import Database

_FREE_TRIES = {"account": 30, "prefix": 20, "both": 5}
"""Failures that cost no waiting. An account alone has many: nobody else can lock its owner out for long."""
_LONGEST = {"account": timedelta(seconds=30), "prefix": timedelta(minutes=15), "both": timedelta(minutes=15)}
_FORGOTTEN = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Staff:
    """One person of staff."""

    staff_id: str
    email: str
    name: str
    role: Role
    countries: frozenset[str] | None
    """``None`` = sees every country."""
    has_password: bool
    made_at: datetime
    disabled_at: datetime | None


class StaffAccounts:
    """Makes, reads and checks accounts.

    Args:
        database: of the access room, migrated.
        key: 32 bytes under which failed logins are counted.
        check: says whether a password fits a hash; ``None`` as the hash never fits and takes as long.
    """

    def __init__(self, database: Database, key: bytes, check: Callable[[str | None, str], bool] = matches) -> None:
        self._database = database
        self._key = key
        self._check = check

    def add(
        self,
        email: str,
        *,
        name: str,
        role: Role,
        at: datetime,
        by: str,
        countries: Iterable[str] = (),
        password: str | None = None,
    ) -> Staff:
        """Make an account.

        Args:
            email: what they log in with; upper and lower case are the same.
            name: as colleagues know them.
            role: what they may do.
            at: now.
            by: staff id of who made it, or ``cli``.
            countries: ISO 3166-1 codes that they see; empty = all. A regulator must have some.
            password: ``None`` = they log in with the identity provider only.

        Raises:
            InputError: it does not fit; all faults are listed.
        """
        scope = frozenset(countries)
        faults = _faults(email, name, role, scope)
        if faults:
            raise InputError("this account cannot be made", faults)
        row = {
            "staff_id": f"S-{secrets.token_hex(6)}",
            "email": email.strip().casefold(),
            "name": name.strip(),
            "role": role.value,
            "countries": _listed(scope),
            "password_hash": None if password is None else hashed(password),
            "made_at": micros(at),
            "made_by": by,
        }
        with self._database.writing() as connection:
            if connection.execute(sa.select(STAFF.c.staff_id).where(STAFF.c.email == row["email"])).first():
                raise InputError("expected an address without an account, found one that has one; change that account")
            connection.execute(sa.insert(STAFF).values(row))
        found = self.get(str(row["staff_id"]))
        assert found is not None
        return found

    def everybody(self) -> list[Staff]:
        """Return all accounts, disabled ones too, by address."""
        with self._database.reading() as connection:
            return [_staff(row) for row in connection.execute(sa.select(STAFF).order_by(STAFF.c.email))]

    def get(self, staff_id: str) -> Staff | None:
        """Return an account, disabled or not."""
        return self._one(STAFF.c.staff_id == staff_id)

    def named(self, email: str) -> Staff | None:
        """Return the account of an address, disabled or not."""
        return self._one(STAFF.c.email == email.strip().casefold())

    def require(self, email: str) -> Staff:
        """Return the account of an address.

        Raises:
            InputError: there is none.
        """
        found = self.named(email)
        if found is None:
            raise InputError("expected the address of a staff account, found none; `demur staff list` shows them")
        return found

    def disable(self, staff_id: str, at: datetime) -> None:
        """Close an account for good; who it was stays known."""
        self._change(staff_id, disabled_at=micros(at))

    def change_role(self, staff_id: str, *, role: Role, countries: Iterable[str] = ()) -> None:
        """Let somebody work as something else from now on; an account that is closed stays closed.

        Raises:
            InputError: a regulator needs a country, or there is no such account in use.
        """
        found, scope = self.get(staff_id), frozenset(countries)
        if found is None or found.disabled_at is not None:
            raise InputError("expected the id of an account in use, found none like it; list them")
        faults = _faults(found.email, found.name, role, scope)
        if faults:
            raise InputError("this account cannot be changed", faults)
        self._change(staff_id, role=role.value, countries=_listed(scope))

    def set_password(self, staff_id: str, password: str) -> None:
        """Give an account another password."""
        self._change(staff_id, password_hash=hashed(password))

    def log_in(self, email: str, password: str, *, prefix: str, at: datetime) -> Staff | None:
        """Return whose password it is, or ``None``: wrong, unknown, disabled and without a password look the same.

        Args:
            email: as typed.
            password: as typed.
            prefix: of the client's address (/24 or /48), for counting.
            at: now.

        Raises:
            RefusedError: too many failures; the same for accounts that are not there.
        """
        buckets = self._buckets(email.strip().casefold(), prefix)
        self._wait(buckets, at)
        with self._database.reading() as connection:
            row = connection.execute(sa.select(STAFF).where(STAFF.c.email == email.strip().casefold())).first()
        usable = row is not None and row.disabled_at is None
        right = self._check(row.password_hash if row is not None and usable else None, password)
        self._count(buckets, at, right=right)
        return _staff(row) if right and row is not None else None

    def _one(self, condition: sa.ColumnElement[bool]) -> Staff | None:
        with self._database.reading() as connection:
            row = connection.execute(sa.select(STAFF).where(condition)).first()
        return None if row is None else _staff(row)

    def _change(self, staff_id: str, **values: Any) -> None:
        with self._database.writing() as connection:
            changed = connection.execute(sa.update(STAFF).where(STAFF.c.staff_id == staff_id).values(values))
        if not changed.rowcount:
            raise InputError(
                "expected the id of a staff account, found none like it; list them with `demur staff list`"
            )

    def _buckets(self, email: str, prefix: str) -> dict[str, bytes]:
        told = {"account": email, "prefix": prefix, "both": f"{email}\n{prefix}"}
        return {name: hmac.digest(self._key, f"{name}\n{text}".encode(), "sha256") for name, text in told.items()}

    def _wait(self, buckets: Mapping[str, bytes], at: datetime) -> None:
        with self._database.reading() as connection:
            query = sa.select(ATTEMPTS).where(ATTEMPTS.c.bucket.in_(list(buckets.values())))
            found = {bytes(row.bucket): row for row in connection.execute(query)}
        for name, bucket in buckets.items():
            row = found.get(bucket)
            if row is not None and at < from_micros(row.last_at) + _pause(name, row.failures):
                raise RefusedError("too many tries; wait a quarter of an hour, or ask an operator for another password")

    def _count(self, buckets: Mapping[str, bytes], at: datetime, *, right: bool) -> None:
        """Count a failure, or forget those of this person from here; both write as much."""
        now = micros(at)
        with self._database.writing() as connection:
            connection.execute(sa.delete(ATTEMPTS).where(ATTEMPTS.c.last_at < micros(at - _FORGOTTEN)))
            for name in ("account", "both", "prefix") if not right else ("account", "both"):
                one = ATTEMPTS.c.bucket == buckets[name]
                if right:
                    connection.execute(sa.delete(ATTEMPTS).where(one))
                    continue
                insert = postgresql_insert if self._database.is_postgresql else sqlite_insert
                first = insert(ATTEMPTS).values(bucket=buckets[name], failures=1, last_at=now)
                more = {"failures": ATTEMPTS.c.failures + 1, "last_at": now}
                connection.execute(first.on_conflict_do_update(index_elements=["bucket"], set_=more))


def _pause(name: str, failures: int) -> timedelta:
    """Return how long after a failure the next try waits: doubling from a second on."""
    over = failures - _FREE_TRIES[name]
    return timedelta(0) if over < 0 else min(_LONGEST[name], timedelta(seconds=2 ** min(over, 20)))


def staff_from_claims(accounts: StaffAccounts, claims: Mapping[str, Any]) -> Staff | None:
    """Return the account that an identity provider's claims name, or ``None``.

    Only a verified address counts, and only one whose account an operator made: the provider says who somebody is,
    not what they may do (OpenID Connect Core 1.0 §5.1, §5.7).
    """
    email = claims.get("email")
    if not isinstance(email, str) or claims.get("email_verified") is not True:
        return None
    found = accounts.named(email)
    return found if found is not None and found.disabled_at is None else None


def _listed(countries: frozenset[str]) -> str | None:
    return orjson.dumps(sorted(countries)).decode() if countries else None


def _faults(email: str, name: str, role: Role, countries: frozenset[str]) -> list[str]:
    faults = []
    if email.count("@") != 1 or any(sign.isspace() or not sign.isprintable() for sign in email.strip()):
        faults.append("e-mail: expected an address with one @")
    if not name.strip() or not name.strip().isprintable():
        faults.append("name: expected a name")
    if role in SCOPED and not countries:
        faults.append("countries: a regulator needs the country that it may see")
    if any(len(one) != 2 or not one.isascii() or not one.isupper() for one in countries):
        faults.append("countries: expected ISO 3166-1 codes in capitals, such as DE")
    return faults


def _staff(row: Any) -> Staff:
    countries = None if row.countries is None else frozenset(orjson.loads(row.countries))
    return Staff(
        row.staff_id, row.email, row.name, Role(row.role), countries, row.password_hash is not None,
        from_micros(row.made_at), None if row.disabled_at is None else from_micros(row.disabled_at),
    )  # fmt: skip
