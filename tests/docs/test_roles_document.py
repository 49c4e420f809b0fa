"""docs/roles.md says what the tables in the code say."""

from __future__ import annotations

from pathlib import Path

from app.accounts import act_words, role_words
from app.accounts import service as accounts
from app.accounts.role_document import document
from app.core.authorisation import Permission, Role

PAGE = Path(__file__).parents[2] / "docs" / "roles.md"


def test_the_page_of_roles_is_what_the_code_says() -> None:
    assert PAGE.read_text() == document(), "run: marchamo account roles > docs/roles.md"


def test_every_act_and_every_role_has_words() -> None:
    assert set(act_words.ACTS) == set(accounts.Act)
    assert set(role_words.ROLES) == set(Role)
    assert set(role_words.PERMISSIONS) == set(Permission)
