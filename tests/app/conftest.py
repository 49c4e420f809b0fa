"""Fixtures of the service: an application on a prepared database of either kind.

A test that has nothing to do with the database's kind says `@on_sqlite` (tests.builders) and runs once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from argon2 import PasswordHasher
from flask import Flask
from flask.testing import FlaskClient

from app import create_app
from app.accounts import passwords as account_passwords
from app.core.bootstrap import migrate, open_services
from app.core.config import Settings
from app.core.services import Services
from app.verification.parts import close_parts
from tests.databases import Databases

KEY_ENCRYPTION_KEY = bytes(range(32))


def _settings(url: str, folder: Path) -> Settings:
    return Settings(
        data_dir=folder,
        database_url=url,
        public_url="http://localhost",
        key_encryption_key=KEY_ENCRYPTION_KEY,
        scan_durability="kill",
        rate_limits=False,
    )


@pytest.fixture(scope="session", autouse=True)
def cheap_passwords() -> Iterator[None]:
    """Argon2 with parameters that cost nothing: the product's own are slow on purpose, and tests sign in a lot."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(account_passwords, "_hasher", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
        account_passwords.decoy_hash.cache_clear()
        yield
    account_passwords.decoy_hash.cache_clear()


@pytest.fixture
def settings(database_kind: str, databases: Databases, tmp_path: Path) -> Iterator[Settings]:
    """Settings that point to a migrated database in which the registry has its keys; only this test uses it."""

    def prepare(url: str) -> None:
        prepared = _settings(url, tmp_path)
        migrate(prepared)
        open_services(prepared).engine.dispose()

    url = databases.copy_of("service", prepare, database_kind, tmp_path)
    yield _settings(url, tmp_path)
    databases.discard(url)


def close(application: Flask) -> None:
    """Close what the application holds open, as the end of its process would."""
    running: Services = application.extensions["marchamo"]
    close_parts(running)
    running.engine.dispose()


@pytest.fixture
def app(settings: Settings) -> Iterator[Flask]:
    """The whole application."""
    application = create_app(settings)
    application.testing = True
    yield application
    close(application)


@pytest.fixture
def services(request: pytest.FixtureRequest, settings: Settings) -> Iterator[Services]:
    """The services of `app`; where a test asks for no application, as the worker and the commands open them.

    Making the application costs a fifth of a second, most of it for its two hundred routes.
    """
    if "app" in request.fixturenames:
        found: Services = request.getfixturevalue("app").extensions["marchamo"]
        yield found
        return
    opened = open_services(settings)
    yield opened
    close_parts(opened)
    opened.engine.dispose()


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """A browser or machine that speaks to `app`."""
    return app.test_client()


@pytest.fixture
def limited_app(settings: Settings) -> Iterator[Flask]:
    """The application with its rate limits on."""
    application = create_app(replace(settings, rate_limits=True))
    application.testing = True
    yield application
    close(application)
