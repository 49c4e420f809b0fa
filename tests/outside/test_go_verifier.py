"""A judge that shares no code with us: Go's golang.org/x/mod/sumdb note and tlog packages."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ledger import merkle, tiles
from ledger.checkpoint import open_checkpoint
from ledger.errors import LedgerError
from ledger.note import add_signatures
from ledger.proof import UnitProof, verify_leaf_proof, verify_unit_proof
from ledger.strict import encode_base64
from tests.outside.building import build_go
from tests.outside.published import grow, real_log
from tests.small_log import TileStore, issuer_key, log_of, signer, unit_content, unit_proof

pytestmark = [
    pytest.mark.go,
    pytest.mark.skipif(shutil.which("go") is None, reason="the Go toolchain is not here"),
]

VERIFIER = signer().verifier
ISSUER = issuer_key().public_key()


@dataclass(frozen=True)
class Case:
    """One question to both verifiers; `ours` raises a LedgerError where Python refuses."""

    name: str
    question: dict[str, Any]
    ours: Callable[[], object]

    def we_accept(self) -> bool:
        try:
            self.ours()
        except LedgerError:
            return False
        return True


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Go program, built from source."""
    return build_go(Path(__file__).parent / "go", tmp_path_factory.mktemp("go") / "outside")


def ask(outside: Path, cases: list[Case], folder: Path) -> dict[str, str]:
    """Verdict of the Go program by name of the case."""
    file = folder / "cases.jsonl"
    questions = [{"name": case.name, "key": VERIFIER.to_text()} | case.question for case in cases]
    file.write_text("".join(json.dumps(question) + "\n" for question in questions))
    done = subprocess.run(
        [str(outside), "cases", str(file)], capture_output=True, text=True, timeout=60, check=True, env=dict(os.environ)
    )
    verdicts = dict(line.split(" ", 1) for line in done.stdout.splitlines())
    assert len(verdicts) == len(cases)
    return verdicts


def leaf_case(name: str, proof: bytes, leaf: bytes) -> Case:
    return Case(
        name,
        {"kind": "leaf", "proof": encode_base64(proof), "leaf": encode_base64(leaf)},
        lambda: verify_leaf_proof(proof, merkle.leaf_hash(leaf), VERIFIER),
    )


def consistency_case(name: str, older: str, newer: str, path: list[bytes]) -> Case:
    def ours() -> None:
        old, new = (open_checkpoint(note, VERIFIER).checkpoint for note in (older, newer))
        merkle.verify_consistency(old_size=old.size, new_size=new.size, old_root=old.root, new_root=new.root, path=path)

    question = {
        "kind": "consistency",
        "old": encode_base64(older.encode()),
        "new": encode_base64(newer.encode()),
        "path": [encode_base64(step) for step in path],
    }
    return Case(name, question, ours)


def unit_case(name: str, proof: bytes, content: bytes) -> Case:
    question = {
        "kind": "unit",
        "proof": encode_base64(proof),
        "content": encode_base64(content),
        "issuer": encode_base64(ISSUER.public_bytes_raw()),
    }
    return Case(
        name,
        question,
        lambda: verify_unit_proof(
            UnitProof.from_json(proof), content=content, log_verifier=VERIFIER, statement_key=ISSUER
        ),
    )


def flips(data: bytes, count: int | None = None) -> Iterator[tuple[str, bytes]]:
    """Copies of the data with one bit changed: all of them, or a fixed random choice."""
    bits = range(len(data) * 8)
    chosen = bits if count is None else random.Random(7).sample(bits, count)  # noqa: S311  -- a fixed choice, no secret
    for bit in chosen:
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        yield f"bit-{bit}", bytes(changed)


def genuine_cases() -> list[Case]:
    cases = []
    for size in (1, 2, 3, 7, 8, 255, 256, 257, 600):
        log = log_of(size)
        cases += [
            leaf_case(f"leaf-{index}-of-{size}", log.prove(index).encode(), log.leaves[index].to_bytes())
            for index in sorted({0, size // 2, size - 1})
        ]
        store = TileStore(tiles.LOG_HEIGHT, log.hashes())
        for old in sorted({1, size // 2, size - 1, size} - {0}):
            path = tiles.consistency_path(store.read, tiles.LOG_HEIGHT, old, size)
            cases.append(
                consistency_case(
                    f"growth-{old}-to-{size}", log.checkpoint(old).note_text, log.checkpoint().note_text, path
                )
            )
    for units, position, before, after in ((1, 0, 0, 0), (50, 17, 5, 3), (300, 299, 256, 40)):
        proof = unit_proof(units=units, position=position, before=before, after=after)
        cases.append(unit_case(f"unit-{position}-of-{units}", proof.to_json().encode(), unit_content(position)))
    return cases


def test_go_accepts_every_proof_that_we_write(outside: Path, tmp_path: Path) -> None:
    cases = genuine_cases()
    assert all(case.we_accept() for case in cases)
    assert set(ask(outside, cases, tmp_path).values()) == {"accepted"}


def test_go_accepts_a_proof_with_the_signature_of_a_witness(outside: Path, tmp_path: Path) -> None:
    log = log_of(5)
    head, _, note = log.prove(3, extra=b"context").partition("\n\n")
    witnessed = add_signatures(note, [signer("witness.example").sign(log.checkpoint().checkpoint.to_text())])
    case = leaf_case("witnessed", f"{head}\n\n{witnessed}".encode(), log.leaves[3].to_bytes())
    assert case.we_accept()
    assert ask(outside, [case], tmp_path) == {"witnessed": "accepted"}


def test_both_refuse_every_flipped_bit_of_a_leaf_proof_and_of_its_leaf(outside: Path, tmp_path: Path) -> None:
    log = log_of(7)
    proof, leaf = log.prove(2).encode(), log.leaves[2].to_bytes()
    cases = [leaf_case(f"proof-{name}", changed, leaf) for name, changed in flips(proof)]
    cases += [leaf_case(f"leaf-{name}", proof, changed) for name, changed in flips(leaf)]
    assert not any(case.we_accept() for case in cases)
    assert not [name for name, verdict in ask(outside, cases, tmp_path).items() if verdict == "accepted"]


def test_both_refuse_flipped_bits_of_a_unit_proof_and_of_its_code(outside: Path, tmp_path: Path) -> None:
    proof, content = unit_proof().to_json().encode(), unit_content(17)
    cases = [unit_case(f"proof-{name}", changed, content) for name, changed in flips(proof, 4000)]
    cases += [unit_case(f"code-{name}", proof, changed) for name, changed in flips(content)]
    assert not any(case.we_accept() for case in cases)
    assert not [name for name, verdict in ask(outside, cases, tmp_path).items() if verdict == "accepted"]


def structural_changes(proof: str, other: str) -> dict[str, str]:
    """A tlog-proof taken apart and put together in other ways; `other` is the proof of another leaf."""
    head, _, note = proof.partition("\n\n")
    header, index, *path = head.split("\n")
    _, _, *strange = other.partition("\n\n")[0].split("\n")
    number = int(index.removeprefix("index "))
    zeros = encode_base64(bytes(32))

    def written(lines: list[str]) -> str:
        return "\n".join(lines) + f"\n\n{note}"

    made = {
        **{f"index {at}": written([header, f"index {at}", *path]) for at in {*range(12), 2**62} - {number}},
        **{f"step {at} left out": written([header, index, *path[:at], *path[at + 1 :]]) for at in range(len(path))},
        **{f"step {at} twice": written([header, index, *path[: at + 1], *path[at:]]) for at in range(len(path))},
        **{
            f"step {at} of zeros": written([header, index, *path[:at], zeros, *path[at + 1 :]])
            for at in range(len(path))
        },
        **{
            f"step added at {at}": written([header, index, *path[:at], zeros, *path[at:]])
            for at in range(len(path) + 1)
        },
        "path reversed": written([header, index, *path[::-1]]),
        "path of another leaf": written([header, index, *strange]),
        "no path": written([header, index]),
        "index in another spelling": written([header, index.replace("index ", "index 0"), *path]),
        "index with a sign": written([header, index.replace("index ", "index +"), *path]),
        "no index": written([header, *path]),
        "two indexes": written([header, index, index, *path]),
        "extra behind the index": written([header, index, "extra AAAA", *path]),
        "another version": written([header.replace("v1", "v2"), index, *path]),
        "no header": written([index, *path]),
        "a blank line more": f"{head}\n\n\n{note}",
        "no blank line": f"{head}\n{note}",
        "no checkpoint": f"{head}\n\n",
        "the checkpoint twice": f"{proof}\n{note}",
        "line ends of another system": proof.replace("\n", "\r\n"),
        "hexadecimal": written([header, index, *(bytes(32).hex() for _ in path)]),
        "a smaller tree": f"{head}\n\n{log_of(6).checkpoint().note_text}",
        "a larger tree": f"{head}\n\n{log_of(64).checkpoint().note_text}",
    }
    return {name: text for name, text in made.items() if text != proof}


def test_both_refuse_a_proof_put_together_in_any_other_way(outside: Path, tmp_path: Path) -> None:
    log = log_of(11)
    cases = [
        leaf_case(f"leaf-{index}-{number}", text.encode(), log.leaves[index].to_bytes())
        for index in range(11)
        for number, text in enumerate(structural_changes(log.prove(index), log.prove((index + 5) % 11)).values())
    ]
    verdicts = ask(outside, cases, tmp_path)
    assert not [case.name for case in cases if case.we_accept()]
    assert not [name for name, verdict in verdicts.items() if verdict == "accepted"]
    print(f"Go and we refused {len(verdicts)} of {len(cases)} proofs put together in other ways")
    assert len(cases) >= 400


def test_both_refuse_a_log_that_changed_what_it_had_shown(outside: Path, tmp_path: Path) -> None:
    shown, forked = log_of(7), log_of(6)
    forked.append(b"\x66" * 32)
    for index in range(6):
        forked.append(bytes([index]) * 32)
    path = merkle.consistency_path(forked.hashes(), 7)
    honest = merkle.consistency_path(forked.hashes(), 6)
    old, new, other = shown.checkpoint().note_text, forked.checkpoint().note_text, shown.checkpoint(6).note_text
    cases = [
        consistency_case("split-view", old, new, path),
        consistency_case("same-size-two-roots", old, forked.checkpoint(7).note_text, []),
        consistency_case("shrunk", new, old, path),
        consistency_case("path-too-short", other, new, honest[:-1]),
        consistency_case("path-too-long", other, new, [*honest, honest[0]]),
        consistency_case("path-reordered", other, new, honest[::-1]),
    ]
    assert consistency_case("honest", other, new, honest).we_accept()
    assert not any(case.we_accept() for case in cases)
    assert all(verdict.startswith("refused") for verdict in ask(outside, cases, tmp_path).values())


def test_go_accepts_the_proofs_of_a_log_in_a_database(outside: Path, tmp_path: Path) -> None:
    with real_log(tmp_path) as log:
        grow(log, 300)
        older = log.checkpoint()
        cases = [
            leaf_case(f"leaf-{index}", log.prove(index).encode(), log.entry(index).leaf.to_bytes())
            for index in range(0, 300, 7)
        ]
        grow(log, 301)
        newer = log.checkpoint()
        path = log.consistency_path(300, 301)
    cases.append(consistency_case("growth", older.note_text, newer.note_text, path))
    assert all(case.we_accept() for case in cases)
    assert set(ask(outside, cases, tmp_path).values()) == {"accepted"}
