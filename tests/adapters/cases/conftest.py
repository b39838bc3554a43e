"""A PostgreSQL of our own, and databases on it with the tables of cases."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from treasury_watch.adapters.cases.migrating import migrate
from treasury_watch.adapters.postgresql import NotInstalled, Server, postgresql
from treasury_watch.adapters.settings import Settings, load_settings


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """A running server; its data goes when the session ends. Skips where PostgreSQL is not installed."""
    try:
        with postgresql("fsync=off") as running:
            yield running
    except NotInstalled as why:
        pytest.skip(str(why))


@pytest.fixture(scope="session")
def template(server: Server) -> str:
    """A database with the tables, from which others are made."""
    name = server.database()
    migrate(load_settings(database_url=server.url(name)))
    return name


@pytest.fixture
def empty(server: Server) -> Settings:
    """Settings with an empty database."""
    return load_settings(database_url=server.url(server.database()))


@pytest.fixture
def made(server: Server, template: str) -> Settings:
    """Settings with a database that has the tables, and no rows."""
    return load_settings(database_url=server.url(server.database(template)))
