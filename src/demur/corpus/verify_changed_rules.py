"""What the verifier asks of two corpora, as SQL (DuckDB): what a change reaches, and the checks over what differs.

Tables at hand, beside those of verify_rules: changed (whose prints are others), came, went and twice (records of slices
with other bytes), fates, lineage and measures ``_before`` and ``_after`` (rows that differ), measured, authored. Checks
that look at one row and what it points to are the words of verify_rules, over the rows at hand; those that look at sets
are asked of differences here.
"""

from __future__ import annotations

from demur.corpus.verify_rules import CHECKS, NAMES

ROWWISE = (
    "record_of_no_allowed_item",
    "copy_of_no_allowed_item",
    "withheld_item_used",
    "owner_unknown",
    "owner_objected",
    "owner_of_unknown_age",
    "owner_minor",
    "copy_of_withheld_item",
    "record_beside_protected_copy",
    "measures_of_nothing",
)
"""Checks that look at one row and what it points to: the same words, over the rows at hand."""

CHANGED = """
CREATE TABLE changed AS
    SELECT DISTINCT coalesce(p.what, f.what) AS what, coalesce(p.name, f.name) AS name
    FROM prints p FULL JOIN former f ON f.name = p.name AND f.what = p.what AND f.print = p.print
    WHERE p.print IS NULL OR f.print IS NULL;
DROP TABLE former;
"""
"""Whose prints are others, came or went."""

REACHED = """
CREATE TABLE changed_accounts AS
    SELECT name AS account_id FROM changed WHERE what = 'account'
    UNION SELECT account_id FROM accounts WHERE person_id IN (SELECT name FROM changed WHERE what = 'person');
CREATE TABLE links AS
    SELECT item_id, account_id, co_account_ids, parent_id, original_id FROM read_parquet(getvariable('items'))
    WHERE parent_id IS NOT NULL OR original_id IS NOT NULL OR co_account_ids IS NOT NULL
       OR account_id IN (SELECT account_id FROM changed_accounts);
CREATE TABLE edges AS
    SELECT item_id, parent_id AS above FROM links WHERE parent_id IS NOT NULL
    UNION ALL SELECT item_id, original_id FROM links WHERE original_id IS NOT NULL;
CREATE TABLE touched AS
    SELECT name AS item_id FROM changed WHERE what = 'suppressed'
    UNION SELECT item_id FROM links SEMI JOIN changed_accounts USING (account_id)
    UNION SELECT item_id FROM (
            SELECT item_id, unnest(co_account_ids) AS account_id FROM links WHERE co_account_ids IS NOT NULL
        ) SEMI JOIN changed_accounts USING (account_id);
"""

AGAIN = """
CREATE TABLE changed_fates AS
    (SELECT * FROM fates_after EXCEPT SELECT * FROM fates_before)
    UNION ALL (SELECT * FROM fates_before EXCEPT SELECT * FROM fates_after);
CREATE TABLE again AS
    WITH RECURSIVE down(item_id) AS (
        SELECT item_id FROM changed_fates UNION SELECT item_id FROM touched
        UNION SELECT e.item_id FROM down d JOIN edges e ON e.above = d.item_id
    )
    SELECT item_id FROM down;
"""

LINKED = """
CREATE TABLE linked AS SELECT * FROM lineage_after EXCEPT SELECT * FROM lineage_before;
CREATE TABLE unlinked AS SELECT * FROM lineage_before EXCEPT SELECT * FROM lineage_after;
-- where lineage says so: an author may be another person now, in the same slice
CREATE TABLE placed AS
    SELECT record_id, region || '/' || shard || '/' || slice AS slice FROM linked WHERE role = 'author';
CREATE TABLE displaced AS
    SELECT record_id, region || '/' || shard || '/' || slice AS slice FROM unlinked WHERE role = 'author';
"""

NEEDED = """
-- what was measured otherwise, and what became something else
CREATE TABLE looked AS
    SELECT item_id FROM changed_fates
    UNION SELECT item_id FROM measures_after UNION SELECT item_id FROM measures_before;
CREATE TABLE needed AS
    WITH RECURSIVE up(item_id) AS (
        SELECT item_id FROM again UNION SELECT item_id FROM lineage
        UNION SELECT e.above FROM up u JOIN edges e ON e.item_id = u.item_id
    )
    SELECT item_id FROM up;
CREATE TABLE items AS SELECT {columns} FROM read_parquet(getvariable('items')) SEMI JOIN needed USING (item_id);
"""

WANTED = "SELECT item_id FROM needed UNION SELECT item_id FROM measures UNION SELECT item_id FROM looked"
"""Items whose fates are asked for."""

OWNERS = """
SELECT DISTINCT a.person_id FROM items i JOIN accounts a ON a.account_id = i.account_id WHERE a.person_id IS NOT NULL
"""
"""In whose parts the fates of the items may lie."""

BESIDE = """
CREATE TABLE beside AS
    SELECT person_id FROM lineage
    UNION SELECT person_id FROM accounts WHERE account_id IN (
        SELECT account_id FROM items UNION SELECT unnest(co_account_ids) FROM items WHERE co_account_ids IS NOT NULL);
CREATE OR REPLACE TABLE standing AS FROM standing SEMI JOIN beside USING (person_id);
CREATE OR REPLACE TABLE residence AS FROM residence SEMI JOIN beside USING (person_id);
CREATE OR REPLACE TABLE notices AS FROM notices SEMI JOIN beside USING (person_id);
"""
"""Nobody else is asked about: not all people have to be joined with a few items."""

FRESH = f"{NAMES} AND account_id IN (SELECT name FROM changed WHERE what = 'names')"  # noqa: S608  (our own words)
"""Names that were not looked for before."""

SETS: dict[str, str] = {
    "item_without_one_decision": """SELECT item_id FROM (SELECT item_id, 1 AS b, 0 AS a FROM fates_before
        UNION ALL SELECT item_id, 0, 1 FROM fates_after) GROUP BY item_id HAVING sum(b) <> 1 OR sum(a) <> 1""",
    "record_twice": """SELECT record_id FROM twice
        UNION SELECT record_id FROM came GROUP BY record_id HAVING count(*) > 1""",
    "record_in_another_slice": """
        (SELECT * FROM came EXCEPT SELECT * FROM (FROM placed EXCEPT FROM displaced))
        UNION (SELECT * FROM (FROM placed EXCEPT FROM displaced) EXCEPT SELECT * FROM came)
        UNION (SELECT * FROM went EXCEPT SELECT * FROM (FROM displaced EXCEPT FROM placed))
        UNION (SELECT * FROM (FROM displaced EXCEPT FROM placed) EXCEPT SELECT * FROM went)""",
    "lineage_without_record": """SELECT l.record_id FROM lineage l JOIN authored a USING (record_id) WHERE a.n = 0""",
    "record_without_one_author": """
        SELECT record_id FROM (SELECT record_id FROM came UNION SELECT record_id FROM placed)
        LEFT JOIN authored USING (record_id) WHERE coalesce(n, 0) <> 1""",
    "allowed_item_lost": """
        SELECT item_id FROM fates_after WHERE allowed AND (exclusion IS NULL) = (record_id IS NULL)
        UNION ALL (SELECT record_id FROM fates_after EXCEPT SELECT record_id FROM fates_before
            EXCEPT (SELECT record_id FROM came EXCEPT SELECT record_id FROM went) EXCEPT SELECT NULL)
        UNION ALL (SELECT record_id FROM came EXCEPT SELECT record_id FROM went
            EXCEPT SELECT record_id FROM fates_after)
        UNION ALL (SELECT record_id FROM fates_before EXCEPT SELECT record_id FROM fates_after
            EXCEPT SELECT record_id FROM went EXCEPT SELECT NULL)
        UNION ALL (SELECT record_id FROM went EXCEPT SELECT record_id FROM came
            EXCEPT SELECT record_id FROM fates_before)""",
    "slice_of_another_size": """SELECT s.file FROM slices s
        LEFT JOIN (SELECT file_name AS file, num_rows FROM parquet_file_metadata(getvariable('slices'))) USING (file)
        WHERE coalesce(num_rows, 0) <> s.records""",
    "measured_twice": "SELECT item_id FROM measured GROUP BY item_id HAVING count(*) > 1",
    **{
        name: f"SELECT * FROM ({CHECKS[name]}) SEMI JOIN looked USING (item_id)"  # noqa: S608  (our own words)
        for name in ("protected_item_unmeasured", "record_unmeasured")
    },
}
"""The checks that look at sets, of what differs; words of CHECKS, and empty only when these are."""
