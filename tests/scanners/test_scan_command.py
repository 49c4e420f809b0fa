"""`marchamo scan`, `trust` and `verify-proof` as their users run them: real files, a real server, exit codes."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from app.core.authorisation import Role
from app.registry.labels.layouts import layout_named
from app.registry.labels.sheets import Label, render_pdf
from scanners.codes.symbol import png
from scanners.images import open_pdf
from scanners.proofs import MAX_BYTES
from tests.scanners.conftest import NONCE, SmallRegistry
from tests.serving import Server, free_port, run_command

LABELS = 1_000
PER_LABEL_SECONDS = 0.06
"""A generous bound for a busy machine: one takes about 8 ms on one core of an idle one."""


def scan(*arguments: object, given: bytes = b"", **more: Any) -> tuple[int, list[dict[str, Any]]]:
    """Exit code and rows of `marchamo scan --json`."""
    done = run_command("scan", "--json", *arguments, given=given, **more)
    assert "Traceback" not in done.stderr
    return done.returncode, json.loads(done.stdout)


def lines(texts: list[str]) -> bytes:
    return "\n".join(texts).encode()


def forged(code: str) -> str:
    """The same code with the last digit of its signature changed."""
    return code[:-1] + str((int(code[-1]) + 1) % 10)


@pytest.fixture(scope="session")
def label_sheet(small_registry: SmallRegistry, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The printed labels of the batch, as the firm gets them."""
    path = tmp_path_factory.mktemp("labels") / "labels.pdf"
    with path.open("wb") as out:
        render_pdf(
            (Label(code, ("Café",)) for code in small_registry.codes), layout_named("a4-3x7"), out=out, title="T"
        )
    return path


@pytest.fixture
def professional(server: Server, small_registry: SmallRegistry) -> dict[str, Any]:
    """The variables that a professional sets once."""
    return {"server": server.url, "api_key": small_registry.api_keys[Role.INSPECTOR]}


# --- with a connection ---------------------------------------------------------------------------------------------


def test_the_label_sheet_of_a_released_batch_passes(
    label_sheet: Path, small_registry: SmallRegistry, professional: dict[str, Any]
) -> None:
    exit_code, rows = scan(label_sheet, **professional)
    assert sorted(row["text"] for row in rows) == sorted(small_registry.codes)
    assert {(row["summary"], row["authenticity"], row["page"]) for row in rows} == {("PASS", "REGISTERED", 1)}
    assert exit_code == 0


def test_a_picture_of_the_sheet_passes_too(label_sheet: Path, tmp_path: Path, professional: dict[str, Any]) -> None:
    with open_pdf(label_sheet) as pages, pages.drawn(1, 203) as pixels:
        height, width = pixels.shape
        Image.frombytes("L", (width, height), bytes(pixels)).save(tmp_path / "page.png")
    exit_code, rows = scan(tmp_path / "page.png", **professional)
    assert (exit_code, len(rows)) == (0, 12)


def test_a_folder_is_read_by_name_and_says_which_files_could_not_be_read(
    small_registry: SmallRegistry, tmp_path: Path, professional: dict[str, Any]
) -> None:
    (tmp_path / "1-good.png").write_bytes(png(small_registry.codes[0]))
    (tmp_path / "2-damaged.png").write_bytes(png(small_registry.codes[1])[:200])
    Image.new("L", (200, 200), 255).save(tmp_path / "3-blank.png")
    (tmp_path / "4-no-picture.pdf").write_bytes(b"%PDF-1.7 and then nothing")
    (tmp_path / "5-notes.txt").write_text("no picture by its name: left out")
    exit_code, rows = scan(tmp_path, **professional)
    assert exit_code == 3
    assert [(Path(row["file"]).name, row["authenticity"], row["reasons"]) for row in rows[1:]] == [
        ("2-damaged.png", "UNREAD", ["damaged"]),
        ("3-blank.png", "UNREAD", ["no_symbol"]),
        ("4-no-picture.pdf", "UNREAD", ["damaged"]),
    ]
    assert rows[0]["summary"] == "PASS"


def test_one_forgery_among_good_codes_makes_the_answer_no(
    small_registry: SmallRegistry, professional: dict[str, Any]
) -> None:
    good, bad = small_registry.codes[0], forged(small_registry.codes[1])
    exit_code, rows = scan("-", given=lines([good, "", bad, "rubbish", good]) + b"\r\n", **professional)
    assert exit_code == 1
    assert [row["summary"] for row in rows] == ["PASS", "STOP", "STOP", "PASS"]
    assert [row["authenticity"] for row in rows[1:3]] == ["INVALID_SIGNATURE", "UNREADABLE"]


def test_the_public_may_scan_without_an_api_key(server: Server, small_registry: SmallRegistry) -> None:
    exit_code, rows = scan("-", "--server", server.url, given=lines([small_registry.codes[2], "rubbish"]))
    assert exit_code == 1
    assert [row["authenticity"] for row in rows] == ["REGISTERED", "UNREADABLE"]


def test_a_code_longer_than_any_code_does_not_spoil_the_others(
    small_registry: SmallRegistry, professional: dict[str, Any]
) -> None:
    exit_code, rows = scan("-", given=lines([small_registry.codes[0], "A" * 5_000]), **professional)
    assert exit_code == 1
    assert [(row["summary"], row["reasons"][0]) for row in rows] == [("PASS", "signature_valid"), ("STOP", "too_long")]


def test_files_and_standard_input_go_together(small_registry: SmallRegistry, trust_file: Path, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png(small_registry.codes[0]))
    given = lines([small_registry.codes[1]])
    exit_code, rows = scan("--trust", trust_file, tmp_path / "a.png", "-", given=given)
    assert (exit_code, [row["text"] for row in rows]) == (0, small_registry.codes[:2])


def test_the_table_shows_verdicts_words_and_a_count(
    label_sheet: Path, small_registry: SmallRegistry, professional: dict[str, Any]
) -> None:
    done = run_command("scan", label_sheet, **professional)
    assert done.returncode == 0
    assert done.stdout.count("REGISTERED") == len(small_registry.codes)
    assert done.stdout.rstrip().endswith("12 PASS, 0 CHECK, 0 STOP")


def test_what_a_code_says_cannot_write_to_the_terminal_or_break_the_table(trust_file: Path) -> None:
    evil = "[/bold]\x1b]0;owned\x07[link=http://evil.example]x\x9b31m"
    done = run_command("scan", "-", "--trust", trust_file, given=lines([evil]))
    assert done.returncode == 1
    assert "[/bold]·]0;owned·[link=http://evil.example]x·31m" in done.stdout
    assert not set(done.stdout) & {"\x1b", "\x07", "\x9b"}


# --- without a connection ------------------------------------------------------------------------------------------


def test_offline_the_signature_counts_and_every_file_may_pass(label_sheet: Path, trust_file: Path) -> None:
    exit_code, rows = scan(label_sheet, "--trust", trust_file, server=f"http://127.0.0.1:{free_port()}")
    assert exit_code == 0
    assert {(row["summary"], row["authenticity"]) for row in rows} == {("CHECK", "SIGNATURE_VALID_NOT_CONFIRMED")}


def test_offline_never_takes_what_the_registry_refuses(
    small_registry: SmallRegistry, trust_file: Path, professional: dict[str, Any]
) -> None:
    good = small_registry.codes[0]
    host = small_registry.settings.public_url.upper()
    texts = [
        good,
        forged(good),
        good.replace("/10/DEMO-1", "/10/DEMO-2"),
        good.replace("/10/DEMO-1", ""),
        good.split("?")[0],
        good.replace(host, "https://other.example"),
        good + "0",
        good.lower().replace("s=", "S="),
        small_registry.codes[1].split("?")[0] + "?" + good.split("?")[1],
        f"{host}/01/09521234000013/21/ABCDEFGH?{good.split('?')[1]}",
    ]
    _, online = scan("-", given=lines(texts), **professional)
    _, offline = scan("-", "--trust", trust_file, given=lines(texts))
    fits = "SIGNATURE_VALID_NOT_CONFIRMED"
    assert [row["authenticity"] == fits for row in offline] == [row["authenticity"] == "REGISTERED" for row in online]
    assert offline[0]["authenticity"] == fits
    for there, here in zip(online, offline, strict=True):
        if here["authenticity"] in {"INVALID_SIGNATURE", "FOREIGN_HOST", "UNREADABLE"}:
            assert there["authenticity"] == here["authenticity"], here["text"]
        if there["summary"] == "STOP":
            assert here["summary"] != "PASS"


def test_a_folder_of_a_thousand_label_pictures_is_read_within_reasonable_time(
    small_registry: SmallRegistry, trust_file: Path, tmp_path: Path
) -> None:
    pictures = [png(code, module_pixels=4) for code in small_registry.codes]
    for number in range(LABELS):
        (tmp_path / f"{number:04}.png").write_bytes(pictures[number % len(pictures)])
    trust_file.rename(tmp_path / "trust")
    started = time.perf_counter()
    exit_code, rows = scan(tmp_path, "--trust", tmp_path / "trust")
    assert (exit_code, len(rows)) == (0, LABELS)
    assert [Path(row["file"]).name for row in rows] == [f"{number:04}.png" for number in range(LABELS)]
    assert time.perf_counter() - started < LABELS * PER_LABEL_SECONDS


# --- misuse and what cannot be reached ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "exit_code", "told"),
    [
        ((), 2, "Missing argument"),
        (("x.png", "--nonsense"), 2, "No such option"),
        (("missing.png",), 3, "not_found"),
        (("-",), 3, "There was no code to verify."),
        (("empty",), 3, "There was no code to verify."),
        (("-", "--trust", "missing.json"), 3, "the trust list cannot be read"),
        (("-", "--trust", "broken.json"), 3, "the trust list is malformed"),
        (("-", "--server", "registry.example"), 3, "address must be"),
    ],
)
def test_misuse_and_missing_things_have_their_own_exit_codes_and_one_line(
    arguments: tuple[str, ...], exit_code: int, told: str, tmp_path: Path, trust_file: Path
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken.json").write_text("{")
    offline = ("--json", "--trust", trust_file.name) if "missing.png" in arguments else ()
    done = run_command("scan", *arguments, *offline, folder=tmp_path)
    assert done.returncode == exit_code
    assert told in done.stderr + done.stdout
    assert "Traceback" not in done.stderr


def test_a_registry_that_is_not_there_is_told_in_one_line(small_registry: SmallRegistry) -> None:
    done = run_command("scan", "-", "--server", f"http://127.0.0.1:{free_port()}", given=lines(small_registry.codes))
    assert done.returncode == 3
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert "--trust" in done.stderr


def test_bytes_that_are_no_text_are_no_code_and_no_crash(trust_file: Path) -> None:
    exit_code, rows = scan("-", "--trust", trust_file, given=b"\xff\xfe\x00\x80\n\x1d\x1e\x04")
    assert exit_code == 1
    assert {row["authenticity"] for row in rows} == {"UNREADABLE"}


def test_separators_within_a_code_do_not_cut_it_in_two(trust_file: Path) -> None:
    exit_code, rows = scan("-", "--trust", trust_file, given=b"]d2010952123400001310LOT7\x1d21X1\r\n")
    assert (exit_code, len(rows)) == (1, 1)
    assert rows[0]["reasons"] == ["signature_absent"]


# --- trust and verify-proof ------------------------------------------------------------------------------------------


def test_trust_prints_a_list_that_scan_and_verify_proof_accept(
    server: Server, small_registry: SmallRegistry, tmp_path: Path
) -> None:
    printed = run_command("trust", server.url)
    assert printed.returncode == 0
    (tmp_path / "trust.json").write_text(printed.stdout)
    (tmp_path / "proof.json").write_bytes(small_registry.bundle)
    (tmp_path / "receipt.jws").write_bytes(small_registry.receipt)
    done = run_command("verify-proof", "--trust", "trust.json", "proof.json", "receipt.jws", folder=tmp_path)
    assert done.returncode == 0
    assert done.stdout.count(": holds (") == 2
    told = done.stdout[done.stdout.index("receipt.jws: holds (receipt)") :]
    for sentence in ("the answer: PASS, REGISTERED", "status: ACTIVE", "labour: not part of this answer", NONCE):
        assert sentence in told
    assert "the registry named no witnesses" in told
    for python in ("None", "['", "{'", "iat"):
        assert python not in told
    exit_code, _ = scan("-", "--trust", tmp_path / "trust.json", given=lines(small_registry.codes))
    assert exit_code == 0


def test_trust_of_something_else_fails(tmp_path: Path) -> None:
    done = run_command("trust", f"http://127.0.0.1:{free_port()}")
    assert (done.returncode, done.stdout) == (3, "")
    assert "--trust" not in done.stderr, "an option that this command has not"


def test_a_changed_proof_is_told_apart_from_a_good_one(
    small_registry: SmallRegistry, trust_file: Path, tmp_path: Path
) -> None:
    (tmp_path / "good.json").write_bytes(small_registry.bundle)
    (tmp_path / "bad.json").write_bytes(small_registry.bundle.replace(b'"position":0', b'"position":1'))
    done = run_command(
        "verify-proof", "--json", "--trust", trust_file, tmp_path / "good.json", tmp_path / "bad.json", "-",
        given=small_registry.receipt,
    )  # fmt: skip
    results = json.loads(done.stdout)
    assert done.returncode == 1
    assert [result["holds"] for result in results] == [True, False, True]
    assert results[1]["code"] == "ledger.proof"
    assert "does not hold" in run_command("verify-proof", "--trust", trust_file, tmp_path / "bad.json").stdout


def test_a_proof_that_is_too_large_or_not_there_is_no_crash(trust_file: Path, tmp_path: Path) -> None:
    with (tmp_path / "large.json").open("wb") as large:
        large.truncate(MAX_BYTES * 100)
    done = run_command("verify-proof", "--json", "--trust", trust_file, tmp_path / "large.json")
    assert (done.returncode, json.loads(done.stdout)[0]["code"]) == (1, "too_large")
    done = run_command("verify-proof", "--trust", trust_file, tmp_path / "none.json")
    assert done.returncode == 3
    assert "No such file" in done.stderr
