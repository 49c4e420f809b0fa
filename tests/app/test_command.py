"""The `marchamo` command: it lists and explains itself, shows settings without secrets, and refuses in one line."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from app.cli import PARTS, cli
from tests.serving import environment, run_command

HIDDEN = "do-not-show-me"


def commands(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The path of every command and subcommand, hidden ones too."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        yield (*path, name)
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))


COMMANDS = list(commands(cli))


def listed_commands() -> dict[str, str]:
    """Name and line of each command that `marchamo --help` lists; lines that go on below are left out."""
    shown = run_command("--help").stdout.split("Commands:")[1]
    rows = (line.strip().partition(" ") for line in shown.splitlines() if line.startswith("  ") and line[2:3] != " ")
    return {name: words.strip() for name, _, words in rows}


def test_help_lists_every_command_with_a_line_about_it() -> None:
    listed = listed_commands()
    assert set(PARTS) | {"config", "migrate", "serve"} == listed.keys()
    assert all(len(words.split()) >= 3 for words in listed.values())


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_explains_itself(path: tuple[str, ...]) -> None:
    shown = CliRunner().invoke(cli, [*path, "--help"])
    assert shown.exit_code == 0, shown.output
    assert shown.output.startswith("Usage:")
    assert "--help" in shown.output


def test_the_parts_that_are_loaded_when_used_are_all_there() -> None:
    assert len(COMMANDS) >= len(PARTS) + 3
    assert {("account", name[1]) for name in COMMANDS if name[0] == "account" and len(name) > 1}


def test_an_unknown_command_is_misuse() -> None:
    done = run_command("scann")
    assert done.returncode == 2
    assert "No such command" in done.stderr


def test_version_is_that_of_the_package() -> None:
    assert run_command("--version").stdout.strip().endswith("0.1.0")


def test_config_shows_every_setting_and_no_secret() -> None:
    address = f"postgresql://marchamo:{HIDDEN}@db.example:5432/marchamo?password={HIDDEN}"
    key = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
    for options in ((), ("--json",)):
        done = run_command("config", *options, database_url=address, key_encryption_key=key)
        assert done.returncode == 0
        assert HIDDEN not in done.stdout
        assert key not in done.stdout
    shown = json.loads(done.stdout)
    assert shown["MARCHAMO_DATABASE_URL"] == "postgresql://marchamo:***@db.example:5432/marchamo?***"
    assert shown["MARCHAMO_KEY_ENCRYPTION_KEY"] == "set"
    assert shown["MARCHAMO_PORT"] == "8000"


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("", ""),
        ("sqlite:////srv/marchamo.db", "sqlite:////srv/marchamo.db"),
        ("postgresql:///marchamo", "postgresql:///marchamo"),
        ("postgresql://db/marchamo", "postgresql://db/marchamo"),
        ("postgresql://marchamo@db/marchamo", "postgresql://marchamo@db/marchamo"),
        (f"postgresql://m:{HIDDEN}@{HIDDEN}@db/m", "postgresql://m:***@db/m"),
        (f"postgresql://m:{HIDDEN}:{HIDDEN}/x@db/m", "postgresql://m:***@db/m"),
    ],
)
def test_a_database_address_is_shown_without_its_password(
    address: str, shown: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MARCHAMO_DATABASE_URL", address)
    printed = CliRunner().invoke(cli, ["config", "--json"])
    assert json.loads(printed.output)["MARCHAMO_DATABASE_URL"] == shown


@pytest.mark.parametrize("command", [("config",), ("serve",), ("batch", "list", "--organisation", "X")])
def test_an_unknown_setting_is_refused_with_one_line(command: tuple[str, ...]) -> None:
    done = run_command(*command, no_such_setting=HIDDEN)
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr == (
        "marchamo: MARCHAMO_NO_SUCH_SETTING is not a setting of Marchamo; `marchamo config` lists them\n"
    )


def test_the_variables_of_the_scanner_do_not_disturb_the_service() -> None:
    assert run_command("config", server="https://registry.example", api_key=HIDDEN).returncode == 0


def test_migrate_makes_the_database_and_does_nothing_the_second_time(tmp_path: Path) -> None:
    for _ in range(2):
        done = run_command("migrate", data_dir=tmp_path / "new")
        assert (done.returncode, done.stdout) == (0, "The database is up to date.\n")
    assert (tmp_path / "new" / "marchamo.db").exists()
    assert (tmp_path / "new").stat().st_mode & 0o077 == 0


def test_a_file_that_is_no_database_is_refused_with_one_line(tmp_path: Path) -> None:
    (tmp_path / "marchamo.db").write_text("rubbish " * 1_000)
    done = run_command("migrate", data_dir=tmp_path)
    assert done.returncode == 3
    assert done.stderr == "marchamo: the database cannot be used: file is not a database\n"


def test_a_command_on_a_database_that_was_never_prepared_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "marchamo.db").touch()
    done = run_command("batch", "list", "--organisation", "ABCDEF", data_dir=tmp_path)
    assert done.returncode == 3
    assert "run `marchamo migrate`" in done.stderr
    assert done.stderr.count("\n") == 1


def test_what_runs_in_the_hand_starts_without_web_framework_and_database() -> None:
    asked = "import sys, app.cli, scanners.cli; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", asked], env=environment(), capture_output=True, text=True, check=True)
    heavy = {"flask", "sqlalchemy", "alembic", "marshmallow", "openpyxl", "fpdf", "granian"}
    assert not heavy & set(done.stdout.split())
