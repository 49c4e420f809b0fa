"""The register of what is kept is whole: every table, every column that names a person, and its page in docs."""

from __future__ import annotations

from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.core.database import Base
from app.privacy.personal_tables import NOT_PEOPLE, PERSONAL
from app.privacy.register import REGISTER
from app.privacy.register_document import register_document
from app.privacy.retention_rules import RULES
from tests.builders import on_sqlite

DOCUMENT = Path(__file__).parents[3] / "docs" / "privacy.md"
NAMES = {"actor", "email", "person", "person_id", "asked_by_person"}


@on_sqlite
def test_every_table_is_in_the_register(app: Flask) -> None:
    assert {table for kept in REGISTER for table in kept.where} == set(Base.metadata.tables)


@on_sqlite
def test_every_column_that_may_name_a_person_is_exported_or_is_none(app: Flask) -> None:
    found = {
        (table.name, column.name)
        for table in Base.metadata.tables.values()
        for column in table.columns
        if column.name in NAMES
        or column.name.endswith("_by")
        or any(key.target_fullname == "people.id" for key in column.foreign_keys)
    }
    known = {(each.table, each.column) for each in PERSONAL if each.column != "id"}
    assert found == known | set(NOT_PEOPLE) | {("people", "email")}


@on_sqlite
def test_no_secret_is_exported(app: Flask) -> None:
    for each in PERSONAL:
        columns = Base.metadata.tables[each.table].columns
        assert each.column in columns
        assert each.secret <= set(columns.keys())
        secret = {name for name in columns.keys() if name.endswith("_hash") or name.startswith("sealed")}  # noqa: SIM118
        assert secret <= each.secret, f"{each.table} would show {secret - each.secret}"


@on_sqlite
def test_every_rule_names_a_column_and_one_that_is_looked_up_quickly(app: Flask) -> None:
    for rule in RULES:
        assert rule.column in Base.metadata.tables[rule.table].columns


def test_the_document_is_the_one_that_the_tables_give() -> None:
    assert DOCUMENT.read_text(encoding="utf-8") == register_document(), (
        "run: marchamo privacy register > docs/privacy.md"
    )


@on_sqlite
@pytest.mark.parametrize("language", ["en", "es"])
def test_everybody_can_read_what_is_kept(client: FlaskClient, language: str) -> None:
    shown = client.get("/privacy", headers={"Accept-Language": language})
    assert shown.status_code == 200
    assert "730" in shown.text
    assert f'lang="{language}"' in shown.text
