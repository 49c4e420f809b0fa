"""What leaves this repository: the wheel, the lock files, the container's files, and what the documents say of them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from dataclasses import fields
from email.parser import Parser
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from app.core.config import PREFIX, Settings

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
LOCKS = ("requirements.lock", "requirements-service.lock")
_PINNED = re.compile(r"^([A-Za-z0-9._-]+)==(\S+)", re.MULTILINE)


@pytest.fixture(scope="module")
def tracked() -> list[str]:
    """Paths of the repository's files."""
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("this is no git checkout")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True).stdout
    return [path for path in listed.split("\0") if path and (ROOT / path).is_file()]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory, tracked: list[str]) -> Path:
    """The wheel, built from what the container's build sees and nothing else, without network."""
    context, out = tmp_path_factory.mktemp("context"), tmp_path_factory.mktemp("wheel")
    for path in tracked:
        if _enters_the_container(path):
            (context / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / path, context / path)
    command = [
        sys.executable,
        "-m",
        "pip",
        "--disable-pip-version-check",
        "wheel",
        "--quiet",
        "--no-index",
        "--no-deps",
    ]
    subprocess.run([*command, "--no-build-isolation", "--wheel-dir", str(out), str(context)], check=True)
    (built,) = out.glob("marchamo-*.whl")
    return built


@pytest.fixture(scope="module")
def packed(wheel: Path) -> set[str]:
    """Paths within the wheel."""
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def _enters_the_container(path: str) -> bool:
    """Whether .dockerignore lets a file through: the last pattern that fits decides."""
    admitted = True
    for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines():
        pattern = line.lstrip("!")
        parents = [str(parent) for parent in PurePosixPath(path).parents if str(parent) != "."]
        if any(fnmatch(one, pattern.replace("**/", "*")) for one in (path, *parents)):
            admitted = line.startswith("!")
    return admitted


# --- the wheel ----------------------------------------------------------------------------------------------------


def test_every_file_of_the_packages_is_in_the_wheel(packed: set[str], tracked: list[str]) -> None:
    ours = {
        path
        for path in tracked
        if path.split("/")[0] in PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    }
    assert ours - packed == set()


def test_the_wheel_holds_what_is_no_module(packed: set[str]) -> None:
    for path in (
        "app/py.typed",
        "ledger/py.typed",
        "scanners/py.typed",
        "app/portal/templates/base.html",
        "app/portal/static/style.css",
        "app/portal/translations/es/LC_MESSAGES/messages.mo",
        "app/migrations/script.py.mako",
        "scanners/codes/gs1-syntax-dictionary.txt",
        "scanners/codes/gs1-syntax-dictionary.NOTICE.txt",
    ):
        assert path in packed
    assert any(re.fullmatch(r"app/migrations/versions/0002\w*\.py", path) for path in packed)


def test_the_wheel_holds_nothing_else(packed: set[str]) -> None:
    rooms = {path.split("/")[0] for path in packed}
    assert {room for room in rooms if not room.endswith(".dist-info")} == {"app", "ledger", "scanners"}
    assert not [path for path in packed if path.endswith((".pyc", ".db", ".pem", ".env"))]


def test_the_wheel_says_what_it_is(wheel: Path, packed: set[str]) -> None:
    (folder,) = {path.split("/")[0] for path in packed if ".dist-info/" in path}
    with zipfile.ZipFile(wheel) as archive:
        metadata = Parser().parsestr(archive.read(f"{folder}/METADATA").decode())
        assert "marchamo = app.cli:main" in archive.read(f"{folder}/entry_points.txt").decode()
    assert metadata["Name"] == "marchamo"
    assert metadata["License-Expression"] == "Apache-2.0"
    assert f"{folder}/licenses/LICENSE" in packed


# --- the lock files -----------------------------------------------------------------------------------------------


def _pinned(name: str) -> dict[str, set[str]]:
    """Versions by package; several where they differ by platform."""
    found: dict[str, set[str]] = {}
    for package, version in _PINNED.findall((ROOT / name).read_text("utf-8")):
        found.setdefault(canonicalize_name(package), set()).add(version)
    return found


def _wanted(extras: list[str]) -> list[Requirement]:
    listed = list(PROJECT["project"]["dependencies"])
    for extra in extras:
        listed += PROJECT["project"]["optional-dependencies"][extra]
    return [Requirement(text) for text in [*listed, *PROJECT["build-system"]["requires"]]]


@pytest.mark.parametrize(
    ("lock", "extras"), [("requirements.lock", ["load", "dev"]), ("requirements-service.lock", [])]
)
def test_a_lock_satisfies_what_the_project_asks_for(lock: str, extras: list[str]) -> None:
    pinned = _pinned(lock)
    for wanted in _wanted(extras):
        versions = pinned.get(canonicalize_name(wanted.name), set())
        assert versions, f"{wanted.name} is not in {lock}: make lock"
        fits = [wanted.specifier.contains(version, prereleases=True) for version in versions]
        # What is asked for by platform may be pinned in several versions, each for its own.
        assert any(fits) if wanted.marker else all(fits), f"{wanted}: make lock"


def test_the_service_runs_on_the_versions_that_are_tested() -> None:
    tested = _pinned("requirements.lock")
    for package, versions in _pinned("requirements-service.lock").items():
        assert versions <= tested[package], package


def test_the_service_carries_no_tools_of_development() -> None:
    tools = {canonicalize_name(Requirement(text).name) for text in PROJECT["project"]["optional-dependencies"]["dev"]}
    asked = {canonicalize_name(wanted.name) for wanted in _wanted([])}
    needed_by_others = {"babel"}  # Flask-Babel
    assert set(_pinned("requirements-service.lock")) & tools - asked - needed_by_others == set()


@pytest.mark.parametrize("lock", LOCKS)
def test_every_pin_has_a_hash(lock: str) -> None:
    entries = re.split(r"^(?=\S)", (ROOT / lock).read_text("utf-8"), flags=re.MULTILINE)
    assert [entry for entry in entries if "==" in entry and "--hash=sha256:" not in entry] == []


# --- the container ------------------------------------------------------------------------------------------------


def test_everything_the_container_copies_enters_its_build(tracked: list[str]) -> None:
    text = (ROOT / "Dockerfile").read_text("utf-8")
    copied = [word for line in re.findall(r"^COPY (?!--from)(.*) \S+$", text, re.MULTILINE) for word in line.split()]
    assert len(copied) >= 7
    for name in copied:
        sources = [path for path in tracked if path == name or path.startswith(f"{name}/")]
        assert sources, name
        assert all(_enters_the_container(path) for path in sources), name


def test_nothing_private_enters_the_container() -> None:
    for path in (".env", "data/kek", "data/marchamo.db", ".git/config", "tests/conftest.py", ".venv/bin/python"):
        assert not _enters_the_container(path)


def test_the_container_does_not_run_as_root() -> None:
    last_stage = (ROOT / "Dockerfile").read_text("utf-8").rsplit("\nFROM ", 1)[1]
    assert re.search(r"^USER 10001:10001$", last_stage, re.MULTILINE)


def test_settings_named_by_the_container_files_exist() -> None:
    known = {f"{PREFIX}{setting.name.upper()}" for setting in fields(Settings)}
    for name in ("Dockerfile", "compose.yaml", "docs/operations.md"):
        text = (ROOT / name).read_text("utf-8")
        named = set(re.findall(rf"{PREFIX}[A-Z_]+[A-Z]", text))
        assert named - known - {"MARCHAMO_SERVER", "MARCHAMO_API_KEY", "MARCHAMO_STATE"} == set(), name


# --- what the documents say ---------------------------------------------------------------------------------------


def test_every_setting_is_in_the_operators_table_with_its_default() -> None:
    text = (ROOT / "docs/operations.md").read_text("utf-8")
    rows = dict(re.findall(rf"^\| `({PREFIX}\w+)` \| (\S+) \|", text, re.MULTILINE))
    for setting in fields(Settings):
        if isinstance(setting.default, bool):
            default = "`yes`" if setting.default else "`no`"
        elif isinstance(setting.default, tuple):
            default = f"`{','.join(setting.default)}`" if setting.default else "empty"
        else:
            default = f"`{setting.default}`" if setting.default not in ("", b"") else "empty"
        assert rows.pop(f"{PREFIX}{setting.name.upper()}", "missing") == default, setting.name
    assert rows == {}


def test_make_has_every_target_that_the_documents_name(tracked: list[str]) -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    assert {"help", "install", "run", "test", "lint", "bench", "lock", "messages"} <= targets
    listed = set(re.findall(r"^([a-z-]+):.*##", makefile, re.MULTILINE))
    for path in (path for path in tracked if path.endswith(".md")):
        for named in re.findall(r"(?:`|^)make ([a-z-]+)", (ROOT / path).read_text("utf-8"), re.MULTILINE):
            assert named in listed, f"{path}: make {named}"


_OF_A_MACHINE = re.compile(
    r"/(?:home|Users)/[a-z]\w+/|/root/|/work/(?:main|shared)|/tmp/(?!marchamo)\w"
    r"|--(?:extra-)?index-url[ =]\S*//|--find-links[ =]\S*//|\bregistry=https?://|\bGOPROXY=http"
    r"|pypi\.org/simple|files\.pythonhosted\.org"
)


def test_no_file_names_a_machine_or_a_package_index(tracked: list[str]) -> None:
    found = []
    for path in tracked:
        if path == f"tests/{Path(__file__).name}":
            continue
        try:
            text = (ROOT / path).read_text("utf-8")
        except UnicodeDecodeError:
            continue
        found += [f"{path}: {match[0]}" for match in _OF_A_MACHINE.finditer(text)]
    assert found == []


def test_json_files_of_the_repository_are_json(tracked: list[str]) -> None:
    for path in (path for path in tracked if path.endswith(".json")):
        json.loads((ROOT / path).read_text("utf-8"))
