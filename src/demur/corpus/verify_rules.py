"""The verifier's own reading of the rules, as plain SQL (DuckDB).

Written from the requirements, not from the policy room's code: two readings that agree are evidence, one reading
twice is not.

Everything here errs towards *not* finding: a rule below is a condition that every lawful build must meet, so a finding
is always a violation. Where the policy is stricter (grace periods, notices that no longer count), it is stricter.

Tables at hand: settings, known_kinds, private_kinds, audiences, statuses, ranks, regimes, jurisdictions (in force at
as_of, one row a country), items, standing, accounts, residence, notices, campaigns, holds, suppressed, slices,
records, lineage, fates, measures (the sealed ones: item, record, words, what equal texts are found by).
"""

from __future__ import annotations

AUTHORS = """
-- every author of every item, in the epoch that the item was made in; an author without an epoch stays, with nulls
CREATE TABLE authors AS
    SELECT s.item_id, s.account, s.created_at, a.person_id, a.status, a.private, a.compromised_from, a.compromised_until
    FROM (
        SELECT item_id, account_id AS account, created_at FROM items
        UNION ALL
        SELECT item_id, unnest(co_account_ids), created_at FROM items WHERE co_account_ids IS NOT NULL
    ) s LEFT JOIN accounts a
      ON a.account_id = s.account
     AND (a.owned_from IS NULL OR s.created_at IS NULL OR a.owned_from <= s.created_at)
     AND (a.owned_until IS NULL OR s.created_at IS NULL OR s.created_at < a.owned_until);
"""

COUNTRIES = """
-- countries that surely count: now, at the notice and always; one unknown member makes the whole set unknown
CREATE TABLE person_countries AS
    SELECT person_id, unnest(countries_now) AS country FROM standing WHERE len(countries_now) > 0
    UNION SELECT person_id, NULL FROM standing WHERE coalesce(len(countries_now), 0) = 0
    UNION SELECT person_id, unnest(countries_at_notice) FROM standing WHERE len(countries_at_notice) > 0
    UNION SELECT person_id, country FROM residence WHERE valid_from IS NULL AND valid_until IS NULL;
-- residences at creation are added for each item, when the item's moment lies in an episode; a row may stand twice
CREATE TABLE author_countries AS
    SELECT a.item_id, a.person_id, c.country
    FROM authors a JOIN person_countries c USING (person_id)
    UNION ALL
    SELECT a.item_id, a.person_id, r.country
    FROM authors a JOIN (FROM residence WHERE valid_from IS NOT NULL OR valid_until IS NOT NULL) r USING (person_id)
    WHERE (r.valid_from IS NULL OR a.created_at IS NULL OR r.valid_from <= a.created_at)
      AND (r.valid_until IS NULL OR a.created_at IS NULL OR a.created_at < r.valid_until);
"""

TERMS = """
-- a country's jurisdictions: those that name it, else those of all others; unknown = every jurisdiction
CREATE TABLE claims AS
    SELECT c.country, j.* EXCLUDE (country)
    FROM (SELECT DISTINCT country FROM author_countries) c JOIN jurisdictions j
      ON c.country IS NULL OR j.country = c.country
      OR (j.country = '*' AND NOT EXISTS (SELECT 1 FROM jurisdictions n WHERE n.country = c.country));
CREATE TABLE terms AS
    SELECT a.item_id, a.person_id,
           max(c.regime_rank) AS regime_rank, max(c.min_age_years) AS min_age_years,
           max(c.age_at_creation_years) AS age_at_creation_years, max(c.notice_days) AS notice_days,
           max(c.effective_at) AS effective_at, bool_or(c.effective_at IS NULL) AS undated,
           bool_and(c.country IS NOT NULL OR a.country IS NULL) AS covered
    FROM author_countries a LEFT JOIN claims c ON c.country IS NOT DISTINCT FROM a.country
    GROUP BY a.item_id, a.person_id;
-- of age: the end of the birthday in UTC; 29 February counts from 1 March (SEC-09)
CREATE MACRO of_age(born, years) AS
    (CAST(born + to_years(CAST(years AS INTEGER)) AS DATE)
     + CASE WHEN strftime(born, '%m-%d') = '02-29' AND day(born + to_years(CAST(years AS INTEGER))) = 28
            THEN 2 ELSE 1 END
    )::TIMESTAMP AT TIME ZONE 'UTC';
-- notice days are whole: the day of the delivery does not count, and the last one ends where it ends last (SEC-09)
CREATE MACRO over_at(delivered, days) AS
    CASE WHEN days = 0 THEN delivered
         WHEN days > 0 THEN (date_trunc('day', delivered AT TIME ZONE 'UTC')
                             + to_days(CAST(days + 1 AS INTEGER)) + to_hours(12)) AT TIME ZONE 'UTC' END;
CREATE TABLE delivered AS
    SELECT person_id, c.kinds, min(n.valid_at) AS first_at
    FROM notices n JOIN campaigns c USING (campaign_id), settings s
    WHERE n.state IN ('delivered', 'seen', 'clicked', 'acted') AND c.status IN ('running', 'effective', 'superseded')
      AND c.purpose = s.purpose
    GROUP BY person_id, c.kinds;
"""

HOLDING = """
-- holds in force
CREATE TABLE holding AS
    SELECT p.* FROM holds p, settings s
    WHERE p.act = 'place' AND (p.valid_at IS NULL OR p.valid_at <= s.known_at) AND p.recorded_at <= s.known_at
      AND (p.purpose IS NULL OR p.purpose = s.purpose)
      AND NOT EXISTS (
        SELECT 1 FROM holds l
        WHERE l.act = 'lift' AND l.hold_id = p.hold_id AND l.valid_at <= s.as_of AND l.recorded_at <= s.as_of
          AND p.valid_at <= l.valid_at);
"""

REACH = """
-- effective audience: own, container, private account, and everything above in the thread (INT-04); an item that names
-- no account has none that narrows it, a named account that nobody knows may be private
CREATE TABLE hidden AS
    SELECT DISTINCT item_id FROM authors WHERE account IS NOT NULL AND private IS DISTINCT FROM false;
CREATE TABLE circles AS
    SELECT i.rowid AS n, i.item_id, i.parent_id, i.parent_audience,
        greatest(
            coalesce(r.rank, 5),
            CASE WHEN i.container_audience IS NULL THEN 0 ELSE coalesce(c.rank, 5) END,
            CASE WHEN h.item_id IS NULL OR (i.container_id IS NOT NULL AND i.container_audience = 'public')
                   OR i.kind IN ('profile_name', 'username', 'bio', 'profile_picture', 'avatar') THEN 0 ELSE 2 END
        ) AS rank
    FROM items i LEFT JOIN ranks r ON r.name = i.audience LEFT JOIN ranks c ON c.name = i.container_audience
    LEFT JOIN hidden h ON h.item_id = i.item_id;
-- what stands above what, by number: only items in a thread climb, since the engine cannot spill what a climb has seen
CREATE TABLE threads AS
    SELECT c.n, p.n AS above, CASE WHEN p.n IS NULL THEN coalesce(r.rank, 5) ELSE 0 END AS lost
    FROM circles c LEFT JOIN circles p ON p.item_id = c.parent_id LEFT JOIN ranks r ON r.name = c.parent_audience
    WHERE c.parent_id IS NOT NULL;
CREATE TABLE reach AS
    WITH RECURSIVE up(n, above) AS (
        SELECT c.n, c.n FROM circles c JOIN fates f USING (item_id) WHERE f.allowed AND c.parent_id IS NOT NULL
        UNION
        SELECT u.n, t.above FROM up u JOIN threads t ON t.n = u.above WHERE t.above IS NOT NULL
    )
    SELECT i.item_id, max(c.rank) AS rank,
        max(CASE WHEN t.above = u.n THEN 5 ELSE coalesce(t.lost, 0) END) AS above
    FROM up u JOIN circles i ON i.n = u.n JOIN circles c ON c.n = u.above LEFT JOIN threads t ON t.n = u.above
    GROUP BY i.item_id
    UNION ALL
    SELECT item_id, rank, 0 FROM circles WHERE parent_id IS NULL;
"""

FOUND: dict[str, str] = {
    "unknown_kind": "SELECT item_id FROM items WHERE kind NOT IN (SELECT name FROM known_kinds)",
    "private_message": "SELECT item_id FROM items WHERE kind IN (SELECT name FROM private_kinds)",
    "not_addressed_to_ai": "SELECT item_id FROM items WHERE kind = 'ai_chat' AND addressed_to_ai IS DISTINCT FROM true",
    "deleted": "SELECT item_id FROM items WHERE state IS DISTINCT FROM 'live'",
    "expired": "SELECT item_id FROM items, settings WHERE expires_at <= as_of",
    "created_unknown": "SELECT item_id FROM items WHERE created_at IS NULL",
    "not_yet_created": "SELECT item_id FROM items, settings WHERE created_at > as_of",
    "author_unknown": """SELECT a.item_id FROM authors a LEFT JOIN standing s USING (person_id)
        WHERE s.person_id IS NULL""",
    "account_status": "SELECT item_id FROM authors WHERE status IS NULL OR status NOT IN (SELECT name FROM statuses)",
    "compromised_window": """SELECT item_id FROM authors WHERE compromised_from <= created_at
        AND (compromised_until IS NULL OR created_at < compromised_until)""",
    "private_account_profile": """SELECT a.item_id
        FROM authors a JOIN items i USING (item_id) JOIN standing s USING (person_id), settings t
        WHERE (i.kind IN ('profile_name', 'username', 'bio', 'profile_picture', 'avatar',
                          'group_activity', 'page_activity', 'channel_activity')
            OR (i.container_id IS NOT NULL AND i.container_audience = 'public'))
          AND (a.private IS NULL OR (a.private AND NOT t.private_shown))""",
    "age_unknown": "SELECT a.item_id FROM authors a JOIN standing s USING (person_id) WHERE s.born_on IS NULL",
    "age_conflict": "SELECT a.item_id FROM authors a JOIN standing s USING (person_id) WHERE s.age_conflict",
    "minor": """SELECT t.item_id FROM terms t JOIN standing s USING (person_id), settings
        WHERE as_of < of_age(s.born_on, t.min_age_years)""",
    "minor_at_creation": """SELECT t.item_id FROM terms t JOIN standing s USING (person_id) JOIN items i USING (item_id)
        WHERE i.created_at < of_age(s.born_on, t.age_at_creation_years)""",
    "held": """SELECT DISTINCT a.item_id
        FROM authors a JOIN items i USING (item_id) LEFT JOIN standing s USING (person_id), holding h
        WHERE (h.services IS NULL OR i.service IN (SELECT unnest(h.services)))
          AND (h.kinds IS NULL OR i.kind IN (SELECT unnest(h.kinds)))
          AND (h.created_from IS NULL OR i.created_at >= h.created_from)
          AND (h.created_until IS NULL OR i.created_at < h.created_until)
          AND (h.campaign_id IS NULL OR list_contains(s.campaigns, h.campaign_id))
          AND (h.countries IS NULL OR EXISTS (
            SELECT 1 FROM author_countries c WHERE c.item_id = a.item_id AND c.person_id = a.person_id
             AND (c.country IS NULL OR c.country IN (SELECT unnest(h.countries)))))""",
    "objected": """SELECT a.item_id FROM authors a JOIN standing s USING (person_id) JOIN items i USING (item_id)
        WHERE s.objected AND (s.objected_kinds IS NULL OR list_contains(s.objected_kinds, i.kind))
          AND (s.objected_services IS NULL OR list_contains(s.objected_services, i.service))""",
    "suppressed": "SELECT item_id FROM items JOIN suppressed USING (item_id)",
    "notice": """SELECT t.item_id FROM terms t JOIN regimes r ON r.rank = t.regime_rank
        WHERE (t.notice_days > 0 OR r.name NOT IN ('no_choice', 'opt_in'))
          AND (t.undated OR (NOT EXISTS (
            SELECT 1 FROM delivered d, settings WHERE d.kinds IS NULL AND d.person_id = t.person_id
              AND over_at(d.first_at, t.notice_days) <= as_of)
          AND NOT EXISTS (
            SELECT 1 FROM items i JOIN delivered d ON list_contains(d.kinds, i.kind), settings
            WHERE d.kinds IS NOT NULL AND i.item_id = t.item_id AND d.person_id = t.person_id
              AND over_at(d.first_at, t.notice_days) <= as_of)))""",
    "not_yet_effective": "SELECT item_id FROM terms, settings WHERE effective_at > as_of",
    "no_consent": """SELECT t.item_id
        FROM terms t JOIN regimes r ON r.rank = t.regime_rank JOIN standing s USING (person_id), settings
        WHERE r.name = 'opt_in' AND NOT list_contains(s.consent_purposes, purpose)""",
    "regime": """SELECT t.item_id FROM terms t JOIN regimes r ON r.rank = t.regime_rank
        WHERE r.name IN ('prohibited', 'held')""",
    "no_jurisdiction": "SELECT item_id FROM terms WHERE NOT covered",
    "not_public": """SELECT r.item_id FROM reach r JOIN items i USING (item_id)
        WHERE NOT (i.kind = 'ai_chat' AND i.addressed_to_ai AND greatest(r.rank, r.above) < 5)
          AND greatest(r.rank, r.above) NOT IN (SELECT rank FROM ranks JOIN audiences USING (name))""",
}
"""Why an item may not be used → the items. ``not_public`` is asked about allowed items only, the rest about all."""

RECOUNTED = (
    "unknown_kind",
    "private_message",
    "not_addressed_to_ai",
    "deleted",
    "expired",
    "created_unknown",
    "not_yet_created",
    "author_unknown",
    "compromised_window",
    "private_account_profile",
    "age_unknown",
    "age_conflict",
    "minor",
    "minor_at_creation",
    "held",
    "objected",
    "suppressed",
    "no_consent",
    "no_jurisdiction",
)
"""Reasons that both readings define alike, so that their counts over all items are compared and shown."""

CARRIED = """
-- what allowed copies carry, up to the root
CREATE TABLE carried AS
    WITH RECURSIVE down(item_id, carried_id) AS (
        SELECT f.item_id, i.original_id FROM fates f JOIN items i USING (item_id)
        WHERE f.allowed AND i.original_id IS NOT NULL
        UNION
        SELECT d.item_id, i.original_id FROM down d JOIN items i ON i.item_id = d.carried_id
        WHERE i.original_id IS NOT NULL
    )
    SELECT item_id, carried_id FROM down;
"""

ONCE = (
    "authors", "person_countries", "author_countries", "claims", "terms", "delivered", "hidden", "circles", "threads",
    "reach",
)  # fmt: skip
"""Tables of these steps that no check reads."""

FLOORS = ("private_message", "minor", "minor_at_creation", "held", "suppressed")
SAID = ("objected", "original_objected", "no_consent")
"""Reasons whose items protect their content wherever it stands (COR-05): always, and unless an objection is about own
content only (X9)."""

CHECKS: dict[str, str] = {
    "item_without_one_decision": """SELECT item_id FROM (SELECT item_id, 1 AS i, 0 AS f FROM items
        UNION ALL SELECT item_id, 0, 1 FROM fates) GROUP BY item_id HAVING sum(i) <> 1 OR sum(f) <> 1""",
    "record_twice": """SELECT record_id FROM records
        WHERE hash(record_id) IN (SELECT hash(record_id) FROM records GROUP BY 1 HAVING count(*) > 1)
        GROUP BY record_id HAVING count(*) > 1""",
    "record_in_another_slice": """SELECT r.record_id FROM records r JOIN slices s ON s.file = r.file
        LEFT JOIN lineage l ON l.record_id = r.record_id AND l.role = 'author'
          AND l.region = s.region AND l.shard = s.shard AND l.slice = s.slice WHERE l.record_id IS NULL""",
    "lineage_without_record": "SELECT record_id FROM lineage WHERE record_id NOT IN (SELECT record_id FROM records)",
    "record_without_one_author": """SELECT record_id FROM records
        ANTI JOIN (SELECT record_id FROM lineage WHERE role = 'author') USING (record_id)
        UNION ALL SELECT record_id FROM lineage WHERE role = 'author' GROUP BY record_id HAVING count(*) > 1""",
    "record_of_no_allowed_item": """SELECT l.record_id FROM lineage l LEFT JOIN fates f
        ON f.item_id = l.item_id AND f.allowed AND f.exclusion IS NULL AND f.record_id = l.record_id
          AND f.person_id = l.person_id
        WHERE l.role = 'author' AND f.item_id IS NULL""",
    "copy_of_no_allowed_item": """SELECT l.record_id FROM lineage l
        LEFT JOIN fates f ON f.item_id = l.item_id AND f.allowed
        WHERE f.item_id IS NULL""",
    "allowed_item_lost": """SELECT item_id FROM fates WHERE allowed
        AND (exclusion IS NULL) = (record_id IS NULL OR record_id NOT IN (SELECT record_id FROM records))""",
    "withheld_item_used": """SELECT item_id FROM fates
        WHERE NOT allowed AND (record_id IS NOT NULL OR reason_bits = 0)""",
    "slice_of_another_size": """SELECT s.file FROM slices s
        LEFT JOIN (SELECT file, count(*) AS n FROM records GROUP BY file) r
        USING (file) WHERE coalesce(r.n, 0) <> s.records""",
    "owner_unknown": """SELECT l.record_id FROM lineage l LEFT JOIN standing s USING (person_id)
        WHERE l.role <> 'mentioned' AND s.person_id IS NULL""",
    "owner_objected": """WITH said AS MATERIALIZED (SELECT * FROM lineage l JOIN standing s USING (person_id)
            WHERE l.role <> 'mentioned' AND s.objected)
        SELECT s.record_id FROM said s JOIN items i USING (item_id)
        WHERE (s.objected_kinds IS NULL AND s.objected_services IS NULL)
            OR (EXISTS (SELECT 1 FROM accounts a WHERE a.person_id = s.person_id
                  AND (a.account_id = i.account_id OR list_contains(i.co_account_ids, a.account_id)))
              AND (s.objected_kinds IS NULL OR list_contains(s.objected_kinds, i.kind))
              AND (s.objected_services IS NULL OR list_contains(s.objected_services, i.service)))""",
    "owner_of_unknown_age": """SELECT l.record_id FROM lineage l JOIN standing s USING (person_id)
        WHERE l.role <> 'mentioned' AND (s.born_on IS NULL OR s.age_conflict)""",
    "owner_minor": """SELECT l.record_id FROM lineage l JOIN standing s USING (person_id), settings
        WHERE l.role <> 'mentioned' AND as_of < of_age(s.born_on, least_age)""",
    "copy_of_withheld_item": """SELECT c.item_id FROM carried c LEFT JOIN fates f ON f.item_id = c.carried_id
        WHERE f.allowed IS DISTINCT FROM true""",
    "record_beside_protected_copy": """SELECT m.item_id FROM measures m JOIN fates f USING (item_id), settings s
        WHERE f.allowed AND f.exclusion IS NULL AND m.words >= s.copy_min_words AND m.exact IN (
            SELECT p.exact FROM measures p JOIN fates g USING (item_id), settings t
            WHERE NOT g.allowed AND g.reason_bits & t.protecting <> 0)""",
    "protected_item_unmeasured": """SELECT f.item_id FROM fates f LEFT JOIN measures m USING (item_id), settings s
        WHERE NOT f.allowed AND f.reason_bits & s.protecting <> 0
          AND (m.words IS NULL OR (m.exact IS NULL AND m.words >= s.copy_min_words))""",
    "record_unmeasured": """SELECT f.item_id FROM fates f LEFT JOIN measures m USING (item_id)
        WHERE f.allowed AND f.exclusion IS NULL AND (m.exact IS NULL OR m.record_id IS DISTINCT FROM f.record_id)""",
    "measured_twice": "SELECT item_id FROM measures GROUP BY item_id HAVING count(*) > 1",
    "measures_of_nothing": """SELECT m.item_id FROM measures m LEFT JOIN fates f USING (item_id), settings s
        WHERE NOT coalesce(f.allowed OR (f.reason_bits & s.protecting <> 0 AND m.record_id IS NULL), false)""",
}
"""What must not be → rows that show it. Together with FOUND over allowed items these are the assertions."""

NAMES = """SELECT DISTINCT unnest(names) FROM accounts JOIN standing USING (person_id) WHERE objected"""
"""Names, now and before, of people with an objection in force."""

ROW_SUM = "(sum(h) & 18446744073709551615)::UBIGINT"
PRINTS = f"""
-- what of an account, of a person and of everybody the rules above read: one number each, another when it changed
CREATE TABLE prints AS
    SELECT 'account' AS what, account_id AS name, {ROW_SUM} AS print
    FROM (SELECT account_id, hash(*COLUMNS(* EXCLUDE (account_id, handles, names))) AS h FROM accounts) GROUP BY ALL
    UNION ALL
    SELECT 'person', person_id, {ROW_SUM} FROM (
        SELECT person_id, hash(1, *COLUMNS(* EXCLUDE (person_id, last_active_at))) AS h FROM standing
        UNION ALL SELECT person_id, hash(2, *COLUMNS(* EXCLUDE (person_id))) FROM residence
        UNION ALL SELECT person_id, hash(3, *COLUMNS(* EXCLUDE (person_id))) FROM notices
    ) GROUP BY ALL
    UNION ALL
    SELECT 'names', account_id, {ROW_SUM} FROM (
        SELECT account_id, hash(names) AS h FROM accounts JOIN standing USING (person_id) WHERE objected
    ) GROUP BY ALL
    UNION ALL
    SELECT 'suppressed', item_id, count(*)::UBIGINT FROM suppressed GROUP BY ALL
    UNION ALL
    SELECT 'everybody', 'holds', coalesce({ROW_SUM}, 0) FROM (SELECT hash(*COLUMNS(*)) AS h FROM holding)
    UNION ALL
    SELECT 'everybody', 'campaigns', coalesce({ROW_SUM}, 0) FROM (SELECT hash(*COLUMNS(*)) AS h FROM campaigns);
"""  # noqa: S608  (a constant of ours)
