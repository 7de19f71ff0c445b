"""Registries to test on, over each database."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import sqlalchemy as sa

from demur.people import Registry
from demur.people.schema import METADATA


@pytest.fixture
def registry(url: str) -> Iterator[Registry]:
    """An empty registry of the present schema."""
    with Registry(url) as found:
        found.migrate()
        yield found


@pytest.fixture
def fresh(registry: Registry, url: str) -> Callable[[], Registry]:
    """Empty the registry: property tests need many in one test."""
    engine = sa.create_engine(url)

    def empty() -> Registry:
        with engine.begin() as connection:
            for table in METADATA.sorted_tables:
                connection.execute(table.delete())
        return registry

    return empty
