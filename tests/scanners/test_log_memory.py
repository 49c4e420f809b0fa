"""A device's memory of the ledger: it follows a ledger that grows, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.checkpoint import Checkpoint, sign_checkpoint
from ledger.cosignature import CosignatureSigner
from ledger.keys.log_keys import sign_succession
from ledger.merkle import consistency_path, root
from ledger.note import NoteSigner, add_signatures, parse_note
from ledger.strict import encode_base64
from scanners.log_memory import EVIDENCE_FORMAT, Contradiction, LogMemory, MemoryRefusal

ORIGIN = "log.example/shop"
SERVER = "https://log.example"
LEAVES = [bytes([number]) * 32 for number in range(60)]
OTHER_LEAVES = [*LEAVES[:20], bytes(32), *LEAVES[21:]]
SIGNER = NoteSigner.generate(ORIGIN)


def note_of(size: int, *signers: NoteSigner, leaves: Sequence[bytes] = LEAVES) -> str:
    return sign_checkpoint(Checkpoint(ORIGIN, size, root(leaves[:size])), *(signers or (SIGNER,))).note_text


def shown(old: int, new: int, *signers: NoteSigner, leaves: Sequence[bytes] = LEAVES) -> dict[str, Any]:
    """What an honest registry with these leaves answers to a device that knows size `old`."""
    path = [encode_base64(step) for step in consistency_path(leaves[:new], old)] if old <= new else None
    return {"checkpoint": note_of(new, *signers, leaves=leaves), "from": old, "consistency": path, "alarm": None}


def none() -> list[object]:
    raise AssertionError("no succession is needed")


def met(folder: Path, size: int = 20) -> LogMemory:
    memory = LogMemory(folder, SERVER, clock=lambda: 1_700_000_000.0)
    memory.believe(SIGNER.verifier.to_text())
    memory.follow(shown(0, size), none)
    return memory


def test_the_first_contact_is_kept_and_known_at_the_next_start(tmp_path: Path) -> None:
    assert LogMemory(tmp_path, SERVER).is_empty
    assert LogMemory(tmp_path, SERVER).note == ""
    memory = met(tmp_path)
    again = LogMemory(tmp_path, SERVER + "/")
    assert not again.is_empty
    assert again.note == memory.note == note_of(20)
    assert LogMemory(tmp_path, "https://other.example").is_empty


@given(st.lists(st.integers(1, 60), min_size=1, max_size=6))
@settings(deadline=None, max_examples=40)
def test_a_ledger_that_only_grows_is_followed(tmp_path_factory: pytest.TempPathFactory, sizes: list[int]) -> None:
    folder = tmp_path_factory.mktemp("memory")
    sizes.sort()
    memory = met(folder, sizes[0])
    for old, new in pairwise(sizes):
        memory.follow(shown(old, new), none)
        memory = LogMemory(folder, SERVER)
        assert memory.note == note_of(new)


@pytest.mark.parametrize(
    ("told", "why"),
    [
        (shown(20, 40, leaves=OTHER_LEAVES[::-1]), "does not lead"),
        (shown(25, 40), "path"),
        (shown(20, 10), "it shows 10 entries, and showed 20 before"),
        (shown(20, 20, leaves=OTHER_LEAVES[::-1]), "two different roots for the same size"),
        ({**shown(20, 40), "consistency": []}, "path"),
        ({**shown(20, 40), "consistency": None}, "path"),
        ({**shown(20, 40), "consistency": shown(20, 40)["consistency"][:-1]}, "path"),
        ({**shown(20, 40), "consistency": [*shown(20, 40)["consistency"], encode_base64(bytes(32))]}, "too long"),
        ({**shown(20, 40), "alarm": 7}, "the registry itself says"),
        ({**shown(20, 40), "consistency": None, "alarm": 7}, "path"),
    ],
)
def test_another_history_is_a_contradiction_and_both_checkpoints_are_kept(
    tmp_path: Path, told: dict[str, Any], why: str
) -> None:
    memory = met(tmp_path)
    with pytest.raises(Contradiction, match=why) as caught:
        memory.follow(told, none)
    evidence = json.loads(caught.value.evidence.read_text())
    assert evidence["format"] == EVIDENCE_FORMAT
    assert (evidence["kept"], evidence["shown"]) == (note_of(20), told)
    assert evidence["keys"] == [SIGNER.verifier.to_text()]
    assert str(caught.value.evidence) in str(caught.value.fix)
    # What was known stays: the next call finds the same.
    assert LogMemory(tmp_path, SERVER).note == note_of(20)


def test_a_fork_after_the_kept_size_is_found_when_the_honest_history_comes_back(tmp_path: Path) -> None:
    memory = met(tmp_path)
    memory.follow(shown(20, 30, leaves=OTHER_LEAVES), none)  # no device can know yet
    with pytest.raises(Contradiction):
        memory.follow(shown(30, 40), none)


@pytest.mark.parametrize(
    "told",
    [
        None, [], "x", {}, {"checkpoint": 5}, {**shown(20, 30), "checkpoint": None}, {**shown(20, 30), "alarm": "x"},
        {**shown(20, 30), "consistency": "x"}, {**shown(20, 30), "consistency": [5]},
        {**shown(20, 30), "consistency": ["x"]}, {**shown(20, 30), "consistency": [encode_base64(bytes(32))] * 70},
        {**shown(20, 30), "checkpoint": "x" * 70_000},
    ],
)  # fmt: skip
def test_an_answer_that_does_not_say_how_the_ledger_grew_is_refused(tmp_path: Path, told: object) -> None:
    memory = met(tmp_path)
    with pytest.raises(MemoryRefusal) as caught:
        memory.follow(told, none)
    assert not isinstance(caught.value, Contradiction)
    assert memory.note == note_of(20)


@pytest.mark.parametrize("name", [ORIGIN, "elsewhere.example/log"])
def test_a_checkpoint_under_another_key_is_refused_and_forgets_nothing(tmp_path: Path, name: str) -> None:
    memory, other = met(tmp_path), NoteSigner.generate(name)
    told = {**shown(20, 30), "checkpoint": sign_checkpoint(Checkpoint(name, 30, root(LEAVES[:30])), other).note_text}
    with pytest.raises(MemoryRefusal, match="not signed by the key that is known"):
        memory.follow(told, list)
    assert LogMemory(tmp_path, SERVER).note == note_of(20)


def test_a_checkpoint_with_a_broken_signature_of_the_known_key_is_refused(tmp_path: Path) -> None:
    memory = met(tmp_path)
    told = shown(20, 30)
    told["checkpoint"] = told["checkpoint"].replace("\n30\n", "\n31\n")
    with pytest.raises(MemoryRefusal):
        memory.follow(told, list)


def test_the_first_checkpoint_must_be_signed_by_the_key_that_was_believed(tmp_path: Path) -> None:
    memory = LogMemory(tmp_path, SERVER)
    memory.believe(NoteSigner.generate(ORIGIN).verifier.to_text())
    with pytest.raises(MemoryRefusal):
        memory.follow(shown(0, 20), list)
    assert LogMemory(tmp_path, SERVER).is_empty
    with pytest.raises(MemoryRefusal, match="no usable key"):
        LogMemory(tmp_path, SERVER).believe("log.example/shop+x")


def test_a_key_that_the_known_one_named_its_successor_is_believed(tmp_path: Path) -> None:
    second, third = NoteSigner.generate(ORIGIN), NoteSigner.generate(ORIGIN)
    successions = [sign_succession(SIGNER, second), sign_succession(second, third)]
    memory = met(tmp_path)
    memory.follow(shown(20, 25, SIGNER, second), none)  # both sign: the known key is enough
    memory.follow(shown(25, 30, third), lambda: successions)
    with pytest.raises(MemoryRefusal):
        memory.follow(shown(30, 35, SIGNER), lambda: successions)  # the retired key has nothing to say any more
    again = LogMemory(tmp_path, SERVER)
    again.follow(shown(30, 40, third), none)


def test_a_key_that_somebody_else_named_a_successor_is_not_believed(tmp_path: Path) -> None:
    stranger, second = NoteSigner.generate(ORIGIN), NoteSigner.generate(ORIGIN)
    memory = met(tmp_path)
    told: list[list[object]] = [
        [sign_succession(stranger, second)], ["x"], [5], [None], [sign_succession(SIGNER, stranger)[:-4]]
    ]  # fmt: skip
    for notes in told:
        with pytest.raises(MemoryRefusal):
            memory.follow(shown(20, 30, second), notes.copy)


def test_witnesses_signatures_are_kept_but_not_sent(tmp_path: Path) -> None:
    witness = CosignatureSigner.generate("witness.example")
    memory = met(tmp_path)
    told = shown(20, 30)
    text = told["checkpoint"].partition("\n\n")[0] + "\n"
    told["checkpoint"] = add_signatures(told["checkpoint"], [witness.sign(text)])
    memory.follow(told, none)
    again = LogMemory(tmp_path, SERVER)
    assert again.note == note_of(30)
    assert len(parse_note(json.loads(again.path.read_text())["checkpoint"]).signatures) == 2


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[:-10], lambda text: text.replace("20", "21", 1), lambda text: "", lambda text: "[]",
        lambda text: text.replace("memory v1", "memory v9"), lambda text: text.replace("log.example/shop+", "x"),
        lambda text: json.dumps({**json.loads(text), "checkpoint": note_of(10, NoteSigner.generate(ORIGIN))}),
        lambda text: json.dumps({**json.loads(text), "keys": []}), lambda text: text + " " * 1_100_000,
    ],
)  # fmt: skip
def test_a_damaged_memory_is_never_passed_over(tmp_path: Path, damage: Any) -> None:
    path = met(tmp_path).path
    path.write_text(damage(path.read_text()))
    with pytest.raises(MemoryRefusal, match="damaged") as caught:
        LogMemory(tmp_path, SERVER)
    assert str(path) in caught.value.message


def test_a_memory_that_can_not_be_written_stops_the_device(tmp_path: Path) -> None:
    memory = LogMemory(tmp_path / "later", SERVER)
    memory.believe(SIGNER.verifier.to_text())
    (tmp_path / "later").write_text("")  # a file where the folder should be
    with pytest.raises(MemoryRefusal, match="cannot be written"):
        memory.follow(shown(0, 20), none)


def test_no_unfinished_file_is_left(tmp_path: Path) -> None:
    memory = met(tmp_path)
    memory.follow(shown(20, 30), none)
    assert [path.name for path in tmp_path.iterdir()] == ["log.example.json"]


def test_an_unchanged_ledger_writes_nothing(tmp_path: Path) -> None:
    memory = met(tmp_path)
    before = memory.path.stat().st_mtime_ns, memory.path.stat().st_ino
    memory.follow(shown(20, 20), none)
    assert (memory.path.stat().st_mtime_ns, memory.path.stat().st_ino) == before


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=8,
)


@given(st.data())
@settings(deadline=None, max_examples=150)
def test_only_declared_refusals_come_out_whatever_is_shown(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    memory = met(tmp_path_factory.mktemp("memory"))
    told: dict[str, Any] = shown(20, 30)
    for member in data.draw(st.sets(st.sampled_from(sorted(told)), min_size=1)):
        told[member] = data.draw(JSON)
    try:
        memory.follow(data.draw(st.sampled_from([told, told["checkpoint"]])), list)
    except MemoryRefusal:
        assert memory.note == note_of(20)
    else:
        # Only members that do not matter were changed: the proof is what counts.
        assert memory.note == note_of(30)


@given(position=st.integers(0, 400), change=st.integers(1, 255))
@settings(deadline=None, max_examples=200)
def test_no_changed_byte_of_an_answer_is_accepted(
    tmp_path_factory: pytest.TempPathFactory, position: int, change: int
) -> None:
    memory = met(tmp_path_factory.mktemp("memory"))
    told = shown(20, 30)
    parts = [told["checkpoint"], *told["consistency"]]
    number = position % len(parts)
    text = bytearray(parts[number].encode())
    text[position % len(text)] ^= change
    parts[number] = text.decode("utf-8", errors="replace")
    with pytest.raises(MemoryRefusal):
        memory.follow({**told, "checkpoint": parts[0], "consistency": parts[1:]}, list)
    assert memory.note == note_of(20)
