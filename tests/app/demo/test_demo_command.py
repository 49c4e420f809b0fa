"""`marchamo demo` and `marchamo demo-firm` as somebody runs them who just installed Marchamo."""

from __future__ import annotations

import json
from pathlib import Path

from app.demo import story
from tests.serving import run_command

MAX_SECONDS = 60


def test_the_story_comes_out_well_within_a_minute_and_says_so_in_json(tmp_path: Path) -> None:
    done = run_command("demo", "--json", "--keep", tmp_path / "kept")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["ok"] is True
    assert told["seconds"] < MAX_SECONDS
    assert len(told["steps"]) == 10
    facts = {step["title"]: step["facts"] for step in told["steps"]}
    assert facts["Labels are printed to a PDF and read back"]["read"] == story.UNITS
    refused = facts["A forged, an altered and an invented code are refused"]
    assert [refused[name]["authenticity"] for name in ("forged", "altered")] == ["INVALID_SIGNATURE"] * 2
    assert refused["unknown"]["authenticity"] != "REGISTERED"
    kept = tmp_path / "kept"
    proofs = run_command(
        "verify-proof", "--json", "--trust", kept / "trust.json", kept / "proof.json", kept / "receipt.jws"
    )
    assert proofs.returncode == 0, proofs.stdout
    scanned = run_command("scan", "--json", "--trust", kept / "trust.json", kept / "page-1.png")
    assert scanned.returncode == 0, scanned.stdout


def test_the_story_does_not_overwrite_what_somebody_keeps(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    done = run_command("demo", "--json", "--keep", tmp_path)
    assert done.returncode == 1
    assert json.loads(done.stdout) == {"ok": False, "broken": f"{tmp_path} is not empty"}
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_demo_firm_prints_the_same_parties_each_time_and_keys_that_work(tmp_path: Path) -> None:
    first, second = (json.loads(run_command("demo-firm", data_dir=tmp_path).stdout) for _ in range(2))
    keys = [printed.pop("api_keys") for printed in (first, second)]
    assert first == second
    assert set(keys[0]) == {"owner", "retailer", "inspector", "customs_client"}
    assert len({*keys[0].values(), *keys[1].values()}) == 8
