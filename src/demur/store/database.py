"""The only module that talks to a database: opening, transactions, migrations, bulk writing, streaming.

Does not know what an event means.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError

from demur.errors import ConfigError, OutsideError, RefusedError
from demur.store.workspace import URL_VARIABLE

BATCH_ROWS = 20_000
STREAM_ROWS = 2_000
_NUMBERED_SINCE = datetime(2025, 1, 1, tzinfo=UTC)
_KEYS = 512
"""Keys in one look-up; a power of two below every database's limit."""
_NUMBERS = itertools.count()
"""Server-side cursors need names."""
Row = tuple[Any, ...]


class Database:
    """One database of a room: SQLite (WAL, synchronous=FULL, one writer) or PostgreSQL (psycopg 3).

    Args:
        url: SQLAlchemy URL, ``sqlite:///path`` or ``postgresql+psycopg://…``.

    Raises:
        ConfigError: the URL names no database that demur can use.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._engine = _engine(url)
        self.is_postgresql = self._engine.dialect.name == "postgresql"

    @property
    def elsewhere(self) -> str | None:
        """By what another process of ours finds the same database (``found_by``); ``None`` = by nothing.

        It may be written down: of a URL that may hold a password it is the name of the environment variable.
        """
        if self.is_postgresql:
            return URL_VARIABLE if os.environ.get(URL_VARIABLE) == self._url else None
        in_memory = self._engine.url.database in {None, "", ":memory:"}
        return None if in_memory else self._url

    @classmethod
    def found_by(cls, name: str) -> Self:
        """Open the database of another process by its ``elsewhere``."""
        return cls(os.environ[name] if name == URL_VARIABLE else name)

    def migrate(self, scripts: Path, versions: str) -> None:
        """Bring the schema to this version; does nothing, and loads nothing, when it is there already.

        Args:
            scripts: folder of the room's Alembic migrations; their file names begin with the revision.
            versions: the room's version table.
        """
        head = max(path.name[:4] for path in (scripts / "versions").glob("[0-9]*.py"))
        if self._version(versions) == head:
            return
        from alembic import command
        from alembic.config import Config

        config = Config()
        config.set_main_option("script_location", str(scripts).replace("%", "%%"))
        with self.writing() as connection:
            config.attributes |= {"connection": connection, "versions": versions}
            command.upgrade(config, "head")

    def _version(self, versions: str) -> str | None:
        with self.reading() as connection:
            if not sa.inspect(connection).has_table(versions):
                return None
            found: str | None = connection.execute(
                sa.select(sa.column("version_num")).select_from(sa.table(versions))
            ).scalar()
            return found

    def leap(self, tables: Sequence[sa.Table], floor: int) -> None:
        """Number the next row of some tables at least ``floor``; never lower than before.

        Numbers stand in links that were mailed. After an older backup was restored the database alone would give the
        same numbers out again, and an old link would name somebody else: so they follow the clock from start to start.

        Args:
            tables: each with a numbered primary key (SQLite: AUTOINCREMENT).
            floor: ``floor_of`` the present instant.
        """
        with self.writing() as connection:
            for table in tables:
                name, column = table.name, next(iter(table.primary_key)).name
                if self.is_postgresql:
                    sequence = f"pg_get_serial_sequence('{name}', '{column}')"
                    highest = f"(SELECT max({column}) FROM {name})"  # noqa: S608  (names of our own tables)
                    connection.exec_driver_sql(
                        f"SELECT setval({sequence}, greatest(%s, nextval({sequence}), {highest}))", (floor,)
                    )
                else:
                    known = "SELECT 1 FROM sqlite_sequence WHERE name = ?"
                    absent = f"INSERT INTO sqlite_sequence (name, seq) SELECT ?, ? WHERE NOT EXISTS ({known})"
                    connection.exec_driver_sql(absent, (name, floor, name))
                    lower = "UPDATE sqlite_sequence SET seq = ? WHERE name = ? AND seq < ?"
                    connection.exec_driver_sql(lower, (floor, name, floor))

    def close(self) -> None:
        """Give all connections back."""
        self._engine.dispose()

    @contextlib.contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """Hold one write transaction; on leaving it is on disk (SQLite: BEGIN IMMEDIATE, fsync at commit)."""
        with _translated(), self._engine.begin() as connection:
            yield connection

    @contextlib.contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """Hold one consistent view of everything; writers do not wait for it."""
        with _translated(), self._engine.connect() as connection:
            options: dict[str, Any] = {"demur_reading": True}
            if self.is_postgresql:
                options = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
            with connection.execution_options(**options).begin():
                yield connection

    def write(self, connection: sa.Connection, table: sa.Table, rows: Sequence[Row]) -> None:
        """Record events of one table in bulk; one that is there already keeps its earliest ``recorded_at``."""
        once: dict[tuple[Any, Any], Row] = {}
        for row in rows:
            known = once.get((row[0], row[1]))
            if known is None or row[-1] < known[-1]:
                once[row[0], row[1]] = row
        if not once:
            return
        # Sorted: the tables are clustered by key, and two writers always lock in one order.
        ordered = sorted(once.values(), key=lambda row: (row[0], row[1]))
        if self.is_postgresql:
            _copy(connection, table, ordered)
        else:
            connection.exec_driver_sql(_sqlite_upsert(table), ordered)

    def look_up(
        self, connection: sa.Connection, columns: Sequence[sa.Column[Any]], key: sa.Column[Any], keys: Iterable[Any]
    ) -> list[Row]:
        """Return rows of one table whose key is among some, as the driver gives them.

        For what must answer in microseconds: the statement is one of a few fixed texts that the driver keeps
        prepared; building it from expressions costs ten times the time of asking.
        """
        wanted = sorted(set(keys))
        driver: Any = connection.connection.driver_connection
        cursor = driver.cursor()
        found: list[Row] = []
        dbapi: Any = connection.dialect.dbapi
        try:
            for start in range(0, len(wanted), _KEYS):
                some = wanted[start : start + _KEYS]
                some += some[-1:] * (_padded(len(some)) - len(some))
                cursor.execute(_look_up_sql(tuple(columns), key, len(some), self.is_postgresql), some)
                found += cursor.fetchall()
        except dbapi.Error as error:
            raise _outside(error) from error
        finally:
            cursor.close()
        return found

    def stream(self, connection: sa.Connection, query: sa.Select[Any]) -> Iterator[list[Row]]:
        """Yield a query's rows in batches, as the driver gives them (PostgreSQL: server-side cursor): flat memory.

        SQLAlchemy's own rows cost twice the time of the query itself; integers, texts and flags need none of it.
        """
        driver: Any = connection.connection.driver_connection
        sql = str(
            query.compile(dialect=connection.dialect, compile_kwargs={"literal_binds": True})
        )  # whole numbers only
        cursor = driver.cursor(f"stream_{next(_NUMBERS)}") if self.is_postgresql else driver.cursor()
        dbapi: Any = connection.dialect.dbapi
        try:
            cursor.execute(sql)
            while part := cursor.fetchmany(STREAM_ROWS):
                yield part
        except dbapi.Error as error:
            raise _outside(error) from error
        finally:
            cursor.close()


def floor_of(at: datetime) -> int:
    """Return where numbers go on at an instant: 2^20 for each second since 2025, below 2^53 for centuries.

    A restored backup can only bring numbers back that were given out before, and those are lower unless a million
    rows a second were made on average ever since.
    """
    return max(int((at - _NUMBERED_SINCE).total_seconds()), 0) << 20


def _padded(count: int) -> int:
    """Return the next power of two: few different statements."""
    return 1 << (count - 1).bit_length()


@functools.cache
def _look_up_sql(columns: tuple[sa.Column[Any], ...], key: sa.Column[Any], count: int, is_postgresql: bool) -> str:
    marks = ", ".join(["%s" if is_postgresql else "?"] * count)
    names = ", ".join(column.name for column in columns)
    return f"SELECT {names} FROM {key.table.name} WHERE {key.name} IN ({marks})"  # noqa: S608  (names of our own)


def _engine(url: str) -> sa.Engine:
    try:
        parsed = sa.make_url(url)
    except ArgumentError as error:
        raise ConfigError(
            "expected a database URL such as sqlite:///registry.db or postgresql+psycopg://host/name, found something "
            "else; set DEMUR_REGISTRY_URL"
        ) from error
    if parsed.drivername in {"postgresql", "postgres"}:
        parsed = parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername not in {"sqlite", "sqlite+pysqlite", "postgresql+psycopg"}:
        raise ConfigError(f"expected sqlite or postgresql as the database, found {parsed.drivername}; change the URL")
    try:
        if parsed.drivername.startswith("sqlite"):
            return _sqlite(parsed)
        return sa.create_engine(parsed, hide_parameters=True)
    except (NoSuchModuleError, ModuleNotFoundError) as error:
        raise ConfigError("PostgreSQL needs the driver psycopg 3; install demur[postgresql]") from error


def _sqlite(url: sa.URL) -> sa.Engine:
    if url.database and url.database != ":memory:":
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    engine = sa.create_engine(url, connect_args={"timeout": 60.0}, hide_parameters=True)

    @sa.event.listens_for(engine, "connect")
    def _on_connect(raw: Any, _record: Any) -> None:
        raw.isolation_level = None  # we begin transactions ourselves, below
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "cache_size=-65536", "temp_store=FILE"):
            raw.execute(f"PRAGMA {pragma}")

    @sa.event.listens_for(engine, "begin")
    def _on_begin(connection: sa.Connection) -> None:
        reading = connection.get_execution_options().get("demur_reading", False)
        connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")

    return engine


@functools.cache  # compiling costs more than a small transaction
def _sqlite_upsert(table: sa.Table) -> str:
    statement = sqlite_insert(table)
    statement = statement.on_conflict_do_update(
        index_elements=list(table.primary_key),
        set_={"recorded_at": statement.excluded.recorded_at},
        where=statement.excluded.recorded_at < table.c.recorded_at,
    )
    from sqlalchemy.dialects.sqlite import dialect

    return str(statement.compile(dialect=dialect()))


def _copy(connection: sa.Connection, table: sa.Table, rows: Sequence[Row]) -> None:
    waiting = f"waiting_{table.name}"
    columns = ", ".join(column.name for column in table.columns)
    key = ", ".join(column.name for column in table.primary_key)
    connection.exec_driver_sql(f"CREATE TEMP TABLE IF NOT EXISTS {waiting} (LIKE {table.name}) ON COMMIT DELETE ROWS")
    with connection.connection.cursor() as cursor, cursor.copy(f"COPY {waiting} ({columns}) FROM STDIN") as copy:  # type: ignore[attr-defined]  # psycopg's cursor
        for row in rows:
            copy.write_row(row)
    connection.exec_driver_sql(
        f"INSERT INTO {table.name} ({columns}) SELECT {columns} FROM {waiting} "  # noqa: S608  (names of our own tables)
        f"ON CONFLICT ({key}) DO UPDATE SET recorded_at = excluded.recorded_at "
        f"WHERE excluded.recorded_at < {table.name}.recorded_at"
    )
    connection.exec_driver_sql(f"TRUNCATE {waiting}")


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        text = str(error.orig).lower()
        if "no such table" in text or "undefinedtable" in type(error.orig).__name__.lower():
            raise RefusedError("the database has no tables yet; call migrate() first, as every command does") from error
        if "locked" in text:
            raise OutsideError("another command is writing to the database for a minute; run this one again") from error
        raise _outside(error.orig) from error


def _outside(error: BaseException | None) -> OutsideError:
    return OutsideError(
        f"the database failed ({type(error).__name__}); check that it is up and has space, then "
        "run the same command again: nothing that was recorded is lost"
    )
