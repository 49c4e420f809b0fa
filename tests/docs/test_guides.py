"""The guides say what the product does: their commands run, their words are those on the screen."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass, replace
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from app import create_app
from app.access import service as access
from app.core.authorisation import Role
from app.core.bootstrap import migrate
from app.core.config import Settings
from app.core.services import Services
from app.demo.parties import Parties, ensure_parties, principal_of
from app.facts.scans.scan import MAX_KEY
from app.facts.service import MAX_NOTE
from app.registry import service as registry
from app.registry.imports import batches as import_columns
from app.registry.imports.reading import MAX_FILE, MAX_ROWS, read_table
from app.registry.imports.xlsx_files import MAX_XLSX_ROWS
from app.registry.rules import MAX_PARTS
from app.registry.unit_id import MAX_BATCH_SIZE
from app.registry.vocabulary import Profile
from app.verification import limits, schemas
from app.verification import service as verification
from app.verification.actions import Action
from app.verification.service.verifying import MAX_CODES

ROOT = Path(__file__).parents[2]
GUIDES = ROOT / "docs" / "guides"
LANGUAGES = ("en", "es")
FOR_PEOPLE = ("first-label.md", "import-a-file.md", "check-a-code.md")
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_BOLD = re.compile(r"\*\*([^*]+)\*\*")
_LINK = re.compile(r"\]\(([^)]+)\)")
_PLACEHOLDER = re.compile(r"%\(\w+\)s")


def _text(language: str, name: str) -> str:
    return (GUIDES / language / name).read_text("utf-8")


# --- both languages -----------------------------------------------------------------------------------------------


def test_every_guide_exists_in_both_languages() -> None:
    names = {language: sorted(path.name for path in (GUIDES / language).iterdir()) for language in LANGUAGES}
    assert names["en"] == names["es"]
    assert set(FOR_PEOPLE) < set(names["en"])


@pytest.mark.parametrize("name", [path.name for path in sorted((GUIDES / "en").iterdir())])
def test_both_languages_have_the_same_sections_and_tables(name: str) -> None:
    shapes = []
    for language in LANGUAGES:
        lines = _text(language, name).splitlines()
        shapes.append([re.match(r"#+|\d+\.|- |\|", line)[0] for line in lines if re.match(r"#+ |\d+\. |- |\|", line)])  # type: ignore[index]
    assert shapes[0] == shapes[1]


@pytest.mark.parametrize(
    "path",
    [*sorted(ROOT.glob("*.md")), *sorted(ROOT.glob("docs/**/*.md"))],
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_links_between_documents_lead_somewhere(path: Path) -> None:
    for target in _LINK.findall(path.read_text("utf-8")):
        if target.startswith("https://"):
            continue
        file, _, anchor = target.partition("#")
        found = (path.parent / file).resolve() if file else path
        assert found.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)$", found.read_text("utf-8"), re.MULTILINE)
            assert anchor in [re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings]


# --- what stands on the screen ------------------------------------------------------------------------------------


@cache
def _words_on_screen(language: str) -> tuple[re.Pattern[str], ...]:
    """Every text of the pages in this language; a place for a figure or name may hold anything, or be left out."""
    catalogue: Catalog = read_po(BytesIO((ROOT / "app/portal/translations/es/LC_MESSAGES/messages.po").read_bytes()))
    patterns = []
    for message in catalogue:
        text = message.id if language == "en" else message.string
        for form in (text,) if isinstance(text, str) else text or ():
            fixed = [re.escape(part) for part in _PLACEHOLDER.split(form.strip())]
            if any(part.strip() for part in fixed):
                patterns.append(re.compile("(?:.+)?".join(fixed)))
    return tuple(patterns)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", FOR_PEOPLE)
def test_words_in_bold_are_words_of_the_portal(language: str, name: str) -> None:
    said = {" ".join(found.split()) for found in _BOLD.findall(_text(language, name))} - {"bold", "negritas"}
    assert len(said) >= 3
    known = _words_on_screen(language)
    unknown = [
        words
        for words in sorted(said)
        if not any(pattern.fullmatch(words) or pattern.fullmatch(words + " ") for pattern in known)
    ]
    assert unknown == []


# --- files --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", LANGUAGES)
def test_files_of_the_import_guide_are_read_without_a_fault(language: str) -> None:
    files = [body for kind, body in _BLOCK.findall(_text(language, "import-a-file.md")) if kind == "csv"]
    units = []
    for file in files:
        reading = import_columns.read_batches(
            read_table(file.encode()), product=None, profile=Profile.SIGNED, issuer="AAAAAA"
        )
        assert reading.faults.items == []
        units.append([(one.quantity or len(one.serials or ()), one.lot, one.expiry) for one in reading.requests])
    assert units == [[(500, "L2401", "270630"), (1200, "L2402", "270731")], [(2, "L2403", None)]]


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_import_guide_names_every_column_and_limit(language: str) -> None:
    text = _text(language, "import-a-file.md")
    named = set(re.findall(r"`([a-z ]+)`", text))
    assert set(import_columns.COLUMNS) <= named
    for figure in (MAX_ROWS, MAX_XLSX_ROWS, MAX_PARTS, MAX_BATCH_SIZE):
        assert f"{figure:,}" in text
    assert f"{MAX_FILE // 1024 // 1024} MB" in text


# --- the API ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Desk:
    """Where the commands of the page run: a registry, and what its variables stand for."""

    client: FlaskClient
    variables: dict[str, str]
    folder: Path


@pytest.fixture
def desk(tmp_path: Path) -> _Desk:
    settings = Settings(
        data_dir=tmp_path / "data",
        public_url="http://localhost",
        key_encryption_key=bytes(range(32)),
        scan_durability="kill",
        rate_limits=False,
    )
    migrate(settings)
    application = create_app(settings)
    services: Services = application.extensions["marchamo"]
    parties = ensure_parties(services)
    firm = principal_of(services, parties.firm)
    verification.act_on_batch(services, handle=parties.batch, action=Action.ACTIVATE, principal=firm)
    with Session(services.engine) as session:
        batch = registry.find_batch(session, parties.batch)
        codes = [
            code.text for code in registry.codes_of_batch(session, services.sealer, batch, stem=settings.code_stem)
        ]
    code, second = codes[:2]
    serial = second.split("/21/")[1].split("?")[0]
    variables = {
        "MARCHAMO": "",
        "KEY": _api_key(services, parties, Role.CUSTOMS_CLIENT),
        "INSPECTOR": _api_key(services, parties, Role.INSPECTOR),
        "CODE": code,
        "SECOND": second,
        "FORGED": code[:-1] + str((int(code[-1]) + 1) % 10),
        "INVENTED": second.split("?")[0].replace(serial, serial[:-1] + ("A" if serial[-1] != "A" else "B")),
        "PROOF_URL": f"/v1/proofs/{parties.batch}/{code.split('/21/')[1].split('?')[0]}",
        "STATE_URL": f"/v1/states/units/{parties.batch}/{code.split('/21/')[1].split('?')[0]}",
    }
    return _Desk(application.test_client(), variables, tmp_path)


def _api_key(services: Services, parties: Parties, role: Role) -> str:
    owner = replace(principal_of(services, parties.customs), person_id=1)
    _, secret = access.create_api_key(services, principal=owner, name=str(role), role=role, scopes=None, days=1)
    return secret


def test_every_command_of_the_api_guide_answers_as_shown(desk: _Desk) -> None:
    compared = 0
    answer: Any = None
    for kind, body in _BLOCK.findall(_text("en", "customs-api.md")):
        if kind == "console":
            for line in body.splitlines():
                answer = _run(desk, line)
        elif kind == "json":
            _compare(json.loads(body), answer, "answer")
            compared += 1
    assert compared >= 12


def test_commands_and_answers_are_the_same_in_spanish() -> None:
    english, spanish = (_BLOCK.findall(_text(language, "customs-api.md")) for language in LANGUAGES)
    assert [block for block in english if block[0] in ("console", "json")] == [
        block for block in spanish if block[0] in ("console", "json")
    ]


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_state_shown_in_the_api_guide_is_in_the_words_of_the_command(language: str, desk: _Desk) -> None:
    [shown] = [body for kind, body in _BLOCK.findall(_text(language, "customs-api.md")) if kind == "text"]
    for line in (
        "curl --output trust.json $MARCHAMO/v1/trust",
        'curl --output state.json --header "Authorization: Bearer $INSPECTOR" $MARCHAMO$STATE_URL',
    ):
        _run(desk, line)
    told = _without_figures(_run(desk, "marchamo verify-proof --trust trust.json state.json"))
    # Of the events only their own words differ; these lines are in every answer.
    for line in shown.splitlines()[:3]:
        assert _without_figures(line) in told


def _without_figures(text: str) -> str:
    plain = re.sub(r"\d[\d.:TZ-]*", "0", text)
    return plain.replace("entry is", "entries are")


@pytest.mark.parametrize("language", LANGUAGES)
def test_limits_of_the_api_guide_are_those_of_the_service(language: str) -> None:
    text = _text(language, "customs-api.md")
    table = text[text.index("## 9.") :]
    device = next(rule.max for rule in schemas.VerifySchema().fields["device"].validators if hasattr(rule, "max"))
    for figure in (
        schemas.MAX_TEXT,
        MAX_CODES,
        MAX_KEY,
        device,
        schemas.MAX_NONCE,
        MAX_NOTE,
        limits.REQUESTS,
        limits.GUESSES,
    ):
        assert re.search(rf"(?<!\d){figure:,}(?!\d)", table), figure


def _run(desk: _Desk, line: str) -> Any:
    """Run one command of the page; of curl, only what the page uses."""
    words = [re.sub(r"\$([A-Z_]+)", lambda name: desk.variables[name[1]], word) for word in shlex.split(line)]
    if words[0] == "curl":
        return _curl(desk, words[1:])
    target = None
    if words[-2] == ">":
        target = desk.folder / words[-1]
        words = words[:-2]
    program = {"marchamo": ["-m", "app"], "python3": []}[words[0]]
    # The folder of the page's files is not the repository's, so that no file of the repository is read by accident.
    done = subprocess.run(
        [sys.executable, *program, *words[1:]],
        cwd=desk.folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        check=False,
        text=True,
    )
    assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
    if target is not None:
        target.write_text(done.stdout)
    return done.stdout


def _curl(desk: _Desk, words: list[str]) -> Any:
    headers: dict[str, str] = {}
    output: str | None = None
    body: str | None = None
    address: str | None = None
    rest = iter(words)
    for word in rest:
        if word == "--json":
            body = next(rest)
            headers |= {"Content-Type": "application/json", "Accept": "application/json"}
        elif word == "--header":
            name, value = next(rest).split(": ", 1)
            headers[name] = value
        elif word == "--output":
            output = next(rest)
        else:
            assert address is None
            assert word.startswith("/")
            address = word
    assert address is not None
    response = desk.client.open(address, method="GET" if body is None else "POST", headers=headers, data=body)
    if output is not None:
        assert response.status_code == 200
        (desk.folder / output).write_bytes(response.data)
    return response.get_json() if response.is_json else response.text


def _compare(shown: Any, given: Any, where: str) -> None:
    """Whether the answer is what the page shows: members may be left out, `…` stands for any text."""
    if isinstance(shown, dict):
        assert isinstance(given, dict), where
        for name, value in shown.items():
            assert name in given, f"{where}.{name}"
            _compare(value, given[name], f"{where}.{name}")
    elif isinstance(shown, list):
        assert isinstance(given, list), where
        assert len(shown) == len(given), where
        for place, (one, other) in enumerate(zip(shown, given, strict=True)):
            _compare(one, other, f"{where}[{place}]")
    elif isinstance(shown, str) and "…" in shown:
        assert re.fullmatch(".+".join(map(re.escape, shown.split("…"))), str(given), re.DOTALL), where
    else:
        assert shown == given, where
