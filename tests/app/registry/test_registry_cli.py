"""`marchamo product` and `marchamo batch` on a real database, as a person at the terminal."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from app.core.errors import AppError
from app.core.services import Services
from app.registry.cli import batch, product
from app.registry.labels.check import verify_pdf
from tests.app.registry.registry_builders import Firm, make_firm
from tests.builders import gtin, on_sqlite

pytestmark = on_sqlite


@pytest.fixture
def firm(services: Services, monkeypatch: pytest.MonkeyPatch) -> Firm:
    settings = services.settings
    monkeypatch.setenv("MARCHAMO_DATA_DIR", str(settings.data_dir))
    monkeypatch.setenv("MARCHAMO_DATABASE_URL", settings.database_url)
    monkeypatch.setenv("MARCHAMO_PUBLIC_URL", settings.public_url)
    monkeypatch.setenv("MARCHAMO_KEY_ENCRYPTION_KEY", base64.b64encode(settings.key_encryption_key).decode())
    return make_firm(services)


def run(firm: Firm, command: object, *arguments: str) -> Result:
    name, *rest = arguments
    group = product if command == "product" else batch
    return CliRunner().invoke(group, [name, "--organisation", firm.organisation.issuer, *rest])


def test_from_a_product_to_checked_labels(firm: Firm, tmp_path: Path) -> None:
    added = run(firm, "product", "add", "--gtin", gtin(3), "--name", "Sotol")
    assert f"{gtin(3)} is registered" in added.output
    made = run(firm, "batch", "commission", "--product", gtin(3), "--quantity", "4", "--lot", "L1")
    assert made.exit_code == 0, made.output
    handle, _, rest = made.stdout.strip().splitlines()[-1].partition(":")
    assert rest.startswith(" 4 units, ledger entry ")
    out = tmp_path / "labels.pdf"
    printed = run(firm, "batch", "labels", handle, "--layout", "roll-50x25", "--out", str(out))
    assert "4 labels, every one read back" in printed.output
    assert not verify_pdf(out, ["something else"] * 4).released
    assert "█" in run(firm, "batch", "show", handle).output
    assert handle in run(firm, "batch", "list").output


def test_a_dry_run_names_the_rows_and_fails(firm: Firm, tmp_path: Path) -> None:
    file = tmp_path / "units.csv"
    file.write_text("serial\nA\n\nA\n", "utf-8")
    checked = run(firm, "batch", "import", str(file), "--product", gtin(), "--dry-run")
    assert checked.exit_code == 1
    assert "row 4, column serial: The serial “A” stands already in row 2." in checked.output
    file.write_text("serial\nA\nB\n", "utf-8")
    made = run(firm, "batch", "import", str(file), "--product", gtin())
    assert "2 units, ledger entry" in made.output


def test_what_needs_a_second_person_waits_at_the_terminal_too(
    firm: Firm, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MARCHAMO_SECOND_PERSON_ABOVE", "3")
    asked = run(firm, "batch", "commission", "--product", gtin(), "--quantity", "4")
    assert isinstance(asked.exception, AppError)
    assert asked.exception.code == "waits_for_second_person"
    file = tmp_path / "units.csv"
    file.write_text("serial\nA\nB\nC\nD\n", "utf-8")
    imported = run(firm, "batch", "import", str(file), "--product", gtin())
    assert isinstance(imported.exception, AppError)
    assert imported.exception.code == "waits_for_second_person"
