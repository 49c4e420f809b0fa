"""The doors between the rooms: imports go one way, and no feature reaches into another's tables."""

from importlinter import cli


def test_every_import_contract_of_pyproject_is_kept() -> None:
    assert cli.lint_imports(no_cache=True) == cli.EXIT_STATUS_SUCCESS
