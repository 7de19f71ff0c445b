"""The statements of the delivery ledger, for both databases. Decides nothing; read deliveries.py.

States that a statement may leave are named in it, so that no path leads back from what is final: a late result
never undoes ``accepted``, and a worker that lost its lease changes nothing.
"""

from __future__ import annotations

import sqlalchemy as sa

from demur.notice.handed import Handed

LEASE_COLUMNS = ("number", "campaign_id", "person_id", "country", "language", "channel", "address", "destination")

NUMBERS = Handed(number="bigint")
TRIES = Handed(number="bigint", attempt="bigint", digest="digest")
PAIRS = Handed(number="bigint", attempt="bigint")
RESULTS = Handed(number="bigint", attempt="bigint", outcome="text", code="text")
LATER = Handed(number="bigint", not_before="bigint")
NEXT = Handed(number="bigint", attempt="bigint", state="text", not_before="bigint", detail="text", channel="text",
              address="text", destination="text", fallback="text")  # fmt: skip

_SHORT = {
    "{running}": "campaign_id IN (SELECT campaign_id FROM notice_campaigns WHERE status IN ('running', 'effective'))",
    "{free}": "lease_until = NULL, leased_by = NULL",
    "{back}": "CASE WHEN attempt = 0 THEN 'waiting' ELSE 'deferred' END",
    "{over}": "lease_until <= :at AND campaign_id = :campaign",
}
"""Conditions and changes that several statements share."""


class Statements:
    """The texts, made once a database.

    Args:
        postgresql: which of the two dialects.
    """

    def __init__(self, *, postgresql: bool) -> None:
        self.postgresql = postgresql
        self.release = self._joined(
            LATER,
            "UPDATE notice_deliveries SET state = {back}, {free}, not_before = g.not_before FROM {g} "
            "WHERE notice_deliveries.number = g.number AND state = 'leased' AND leased_by = :worker",
        )
        self.wire = self._joined(
            TRIES,
            "UPDATE notice_deliveries SET state = 'wire', attempt = g.attempt, message_digest = g.digest, "
            "lease_until = :until, state_at = :at FROM {g} WHERE notice_deliveries.number = g.number "
            "AND state = 'leased' AND leased_by = :worker AND notice_deliveries.attempt = g.attempt - 1 "
            "AND {running}",
        )
        self.tried = self._joined(
            PAIRS,
            "INSERT INTO notice_attempts (number, attempt, channel, wired_at, message_digest) "
            "SELECT d.number, d.attempt, d.channel, CAST(:made_at AS bigint), d.message_digest FROM {g} "
            "JOIN notice_deliveries d ON d.number = g.number AND d.attempt = g.attempt "
            "WHERE d.state = 'wire' AND d.leased_by = :worker",
        )
        self.wired = self._joined(
            PAIRS,
            "SELECT d.number FROM {g} JOIN notice_deliveries d ON d.number = g.number AND d.attempt = g.attempt "
            "WHERE d.state = 'wire' AND d.leased_by = :worker",
        )
        self.result = self._joined(
            RESULTS,
            "UPDATE notice_attempts SET result_at = :at, outcome = g.outcome, code = g.code FROM {g} "
            "WHERE notice_attempts.number = g.number AND notice_attempts.attempt = g.attempt AND result_at IS NULL",
        )
        # Never before it was taken, though the clock went back since: what came back does not count as delivered.
        self.reported = self._joined(
            RESULTS,
            "UPDATE notice_attempts SET result_at = CASE WHEN result_at > :at THEN result_at ELSE :at END, "
            "outcome = g.outcome, code = g.code FROM {g} "
            "WHERE notice_attempts.number = g.number AND notice_attempts.attempt = g.attempt "
            "AND coalesce(notice_attempts.outcome, 'accepted') = 'accepted'",
        )
        # Whichever try was taken, the person has the notice: the newest try does not matter here.
        self.accepted = self._joined(
            RESULTS,
            "UPDATE notice_deliveries SET state = 'accepted', detail = g.code, {free}, state_at = :at FROM {g} "
            "WHERE notice_deliveries.number = g.number AND g.outcome = 'accepted' "
            "AND state IN ('waiting', 'deferred', 'leased', 'wire', 'stopped')",
        )
        self.failed = self._joined(
            RESULTS,
            "SELECT d.number, d.attempt, g.outcome, g.code, d.fallback, d.channel, d.address, d.destination, "
            "c.effective_at, c.status, "
            "(SELECT min(a.wired_at) FROM notice_attempts a WHERE a.number = d.number AND a.channel = d.channel), "
            "(SELECT count(*) FROM notice_attempts a WHERE a.number = d.number AND a.channel = d.channel) "
            "FROM {g} JOIN notice_deliveries d ON d.number = g.number AND d.attempt = g.attempt "
            "JOIN notice_campaigns c ON c.campaign_id = d.campaign_id "
            "WHERE g.outcome <> 'accepted' AND (d.state = 'wire' OR (d.state = 'accepted' AND g.outcome = :late))",
        )
        self.next = self._joined(
            NEXT,
            "UPDATE notice_deliveries SET state = g.state, {free}, not_before = g.not_before, detail = g.detail, "
            "channel = g.channel, address = g.address, destination = g.destination, fallback = g.fallback, "
            "state_at = :at FROM {g} WHERE notice_deliveries.number = g.number "
            "AND notice_deliveries.attempt = g.attempt AND notice_deliveries.state IN ('wire', 'accepted')",
        )
        self.take = self._joined(
            NUMBERS,
            "UPDATE notice_deliveries SET state = 'leased', lease_until = :until, leased_by = :worker, "
            "state_at = :at FROM {g} WHERE notice_deliveries.number = g.number",
        )
        self.over_leased = _text(
            "UPDATE notice_deliveries SET state = {back}, {free} WHERE state = 'leased' AND {over}"
        )
        self.over_wire = _text(
            "UPDATE notice_deliveries SET state = :state, detail = 'unknown', not_before = 0, state_at = :at, {free} "
            "WHERE state = 'wire' AND {over}"
        )
        self.stop = _text(
            "UPDATE notice_deliveries SET state = 'stopped', state_at = :at, {free} "
            "WHERE campaign_id = :campaign AND state IN ('waiting', 'deferred', 'leased')"
        )
        self.end_leases = _text(
            "UPDATE notice_deliveries SET lease_until = :at WHERE campaign_id = :campaign "
            "AND state IN ('leased', 'wire') AND leased_by = :worker"
        )

    def due(self, channels: int) -> sa.TextClause:
        """Return the statement that picks due rows in order of their next try.

        PostgreSQL locks what it picks and skips what others hold; on SQLite the transaction is alone already.
        """
        named = ", ".join(f":channel_{place}" for place in range(channels))
        due = f"campaign_id = :campaign AND state = :state AND not_before <= :at AND channel IN ({named}) "
        due += "AND {running}"
        columns = ", ".join(LEASE_COLUMNS)
        picked = (
            f"SELECT {columns}, attempt, not_before FROM notice_deliveries WHERE {due} "  # noqa: S608  (our own names)
            "ORDER BY not_before LIMIT :rows"
        )
        if self.postgresql:
            return _text(f"{picked} FOR UPDATE SKIP LOCKED")
        members = f"{columns}, attempt, not_before"
        return _text(f"SELECT json_group_array(json_array({members})) FROM ({picked})")  # noqa: S608

    def _joined(self, handed: Handed, text: str) -> sa.TextClause:
        return _text(text.replace("{g}", handed.sql(postgresql=self.postgresql)))


def _text(text: str) -> sa.TextClause:
    for short, whole in _SHORT.items():
        text = text.replace(short, whole)
    return sa.text(text)
