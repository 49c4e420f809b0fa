"""The log's keys: which keys sign depends on the size alone, and only an old key can make a new one its successor."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from ledger.errors import LedgerError, LogKeyError, NoteError, UnknownKey
from ledger.keys.log_keys import (
    MAX_LOG_KEYS,
    SUCCESSION_HEADER,
    LogKey,
    LogKeys,
    fingerprint,
    read_succession,
    sign_succession,
)
from ledger.note import NoteSigner, parse_note, sign_note

ORIGIN = "log.test/keys"
A, B, C, D = (NoteSigner.generate(ORIGIN) for _ in range(4))
ROOT = b"\x07" * 32


def two_rotations() -> LogKeys:
    """A until 20, B from 11 until 40, C from 31 on."""
    keys = LogKeys.of(A.verifier).rotated(sign_succession(A, B), 10).retired(A.verifier, 20)
    return keys.rotated(sign_succession(B, C), 30).retired(B.verifier, 40)


def test_a_key_signs_from_the_entry_that_names_it_until_the_entry_that_retires_it() -> None:
    keys = two_rotations()
    spans = [(key.first_size, key.last_size) for key in keys.keys]
    assert spans == [(0, 20), (11, 40), (31, None)]
    for size, signers in ((0, [A]), (10, [A]), (11, [A, B]), (20, [A, B]), (21, [B]), (30, [B]), (31, [B, C]),
                          (40, [B, C]), (41, [C]), (2**62, [C])):  # fmt: skip
        assert keys.at(size) == tuple(signer.verifier for signer in signers), size


@given(st.lists(st.integers(1, 50), min_size=1, max_size=8))
def test_at_every_size_one_key_signs_or_two_neighbours_do(steps: list[int]) -> None:
    """Whatever the distances between rotations and retirements."""
    signers, keys, index = [A], LogKeys.of(A.verifier), 0
    for number, step in enumerate(steps):
        index += step
        if number % 2 == 0:
            signers.append(NoteSigner.generate(ORIGIN))
            keys = keys.rotated(sign_succession(*signers[-2:]), index)
        else:
            keys = keys.retired(keys.current[0].verifier, index)
    order = {signer.verifier.key_id: number for number, signer in enumerate(signers)}
    before: list[int] = [0]
    for size in range(index + 3):
        found = [order[verifier.key_id] for verifier in keys.at(size)]
        assert found in ([before[-1]], [before[-1], before[-1] + 1], [before[-1] - 1, before[-1]])
        # Never a size at which a reader who knew one of the last keys knows none of the present ones.
        assert set(found) & set(before)
        before = found


def test_no_third_key_before_the_first_is_retired() -> None:
    keys = LogKeys.of(A.verifier).rotated(sign_succession(A, B), 10)
    with pytest.raises(LogKeyError, match="before the old one was retired"):
        keys.rotated(sign_succession(B, C), 12)


def test_the_only_key_and_the_newest_key_can_not_be_retired() -> None:
    keys = LogKeys.of(A.verifier)
    with pytest.raises(LogKeyError):
        keys.retired(A.verifier, 5)
    with pytest.raises(LogKeyError):
        keys.rotated(sign_succession(A, B), 10).retired(B.verifier, 12)


@pytest.mark.parametrize(
    ("name", "spans"),
    [
        ("no key", []),
        ("the first begins late", [(A, 1, None)]),
        ("nothing signs", [(A, 0, 9)]),
        ("a gap", [(A, 0, 9), (B, 10, None)]),
        ("out of order", [(A, 0, 30), (B, 0, None)]),
        ("three at once", [(A, 0, 30), (B, 11, 50), (C, 30, None)]),
        ("one for ever, and a third", [(A, 0, None), (B, 11, None), (C, 30, None)]),
        ("an impossible span", [(A, 0, 30), (B, 20, 19), (C, 19, None)]),
        ("twice the same", [(A, 0, 30), (A, 20, None)]),
        ("negative", [(A, 0, -1), (B, -1, None)]),
        ("beyond all sizes", [(A, 0, 2**63), (B, 5, None)]),
    ],
)
def test_an_impossible_history_is_refused(name: str, spans: list[tuple[NoteSigner, int, int | None]]) -> None:
    keys = tuple(LogKey(signer.verifier, first, last) for signer, first, last in spans)
    with pytest.raises(LogKeyError):
        LogKeys(keys)


def test_too_many_keys_and_keys_of_another_log_are_refused() -> None:
    first = LogKey(A.verifier, 0, 5)
    with pytest.raises(LogKeyError, match="1 to"):
        LogKeys((first,) * (MAX_LOG_KEYS + 1))
    with pytest.raises(LogKeyError, match="name"):
        LogKeys((first, LogKey(NoteSigner.generate("log.test/other").verifier, 3)))
    with pytest.raises(LogKeyError, match="follows no other"):
        LogKeys((replace(first, last_size=None, succession=sign_succession(B, A)),))


# --- successions ---------------------------------------------------------------------------------------------------


def test_a_succession_names_the_next_key_and_both_have_signed() -> None:
    assert read_succession(sign_succession(A, B), A.verifier) == B.verifier


def test_only_the_old_key_can_name_its_successor() -> None:
    text = parse_note(sign_succession(A, B)).text
    for signers in ([B], [A], [B, C], [A, C], [C]):
        with pytest.raises(LogKeyError, match="not signed by"):
            read_succession(sign_note(text, signers), A.verifier)


def test_a_succession_of_another_pair_or_log_is_refused() -> None:
    for made in (sign_succession(B, C), sign_succession(C, B), sign_succession(A, A)):
        with pytest.raises(LogKeyError):
            read_succession(made, A.verifier)
    other = NoteSigner("log.test/other", B.private_key)
    with pytest.raises(LogKeyError):
        read_succession(sign_succession(A, other), A.verifier)


def test_a_checkpoint_or_another_text_by_both_keys_is_no_succession() -> None:
    lines = f"{ORIGIN}\n{A.verifier.to_text()}\n{B.verifier.to_text()}\n"
    checkpoint = sign_checkpoint(Checkpoint(ORIGIN, 7, ROOT), A, B).note_text
    for note in (sign_note(f"another header\n{lines}", [A, B]), sign_note(lines, [A, B]), checkpoint,
                 sign_note(f"{SUCCESSION_HEADER}\nx\n{lines}", [A, B]), "", "x", sign_note("\n", [A, B])):  # fmt: skip
        with pytest.raises(LogKeyError):
            read_succession(note, A.verifier)


@given(st.data())
def test_no_changed_byte_of_a_succession_is_accepted(data: st.DataObject) -> None:
    text = sign_succession(A, B)
    at = data.draw(st.integers(0, len(text) - 1))
    changed = text[:at] + data.draw(st.characters(exclude_characters=text[at], codec="utf-8")) + text[at + 1 :]
    try:
        read_succession(changed, A.verifier)
    except LedgerError:
        return
    raise AssertionError(changed)


# --- checkpoints under several keys --------------------------------------------------------------------------------


def note_of(size: int, *signers: NoteSigner) -> str:
    return sign_checkpoint(Checkpoint(ORIGIN, size, ROOT), *signers).note_text


def test_a_checkpoint_holds_under_any_key_that_signs_its_size() -> None:
    keys = two_rotations()
    for size, signers in ((5, [A]), (15, [A, B]), (15, [A]), (15, [B]), (25, [B]), (35, [B, C]), (50, [C])):
        assert open_checkpoint(note_of(size, *signers), keys).checkpoint.size == size


def test_a_checkpoint_by_a_key_out_of_its_time_is_refused() -> None:
    keys = two_rotations()
    for size, signers in ((21, [A]), (99, [A]), (5, [B]), (41, [B]), (30, [C]), (5, [B, C]), (99, [A, B])):
        with pytest.raises(NoteError, match="does not sign that size") as refused:
            open_checkpoint(note_of(size, *signers), keys)
        assert not isinstance(refused.value, UnknownKey)


def test_a_checkpoint_by_no_key_of_the_log_is_told_apart() -> None:
    with pytest.raises(UnknownKey):
        open_checkpoint(note_of(15, D), two_rotations())
    opened = open_checkpoint(note_of(15, A, D), two_rotations())  # an unknown signature is ignored, as a witness's is
    assert opened.checkpoint.size == 15


def test_who_knows_only_the_old_key_reads_on_until_it_is_retired() -> None:
    held = LogKeys.of(A.verifier)
    assert open_checkpoint(note_of(15, A, B), held).checkpoint.size == 15
    with pytest.raises(UnknownKey):
        open_checkpoint(note_of(21, B), held)


def test_the_log_itself_is_held_to_every_signature_due_and_no_other() -> None:
    keys = two_rotations()
    open_checkpoint(note_of(15, A, B), keys, by_all=True)
    open_checkpoint(note_of(15, B, A, D), keys, by_all=True)
    for size, signers, found in ((15, [A], "not signed by"), (15, [B], "not signed by"), (25, [A, B], "signed by"),
                                 (5, [A, B], "signed by"), (35, [C], "not signed by")):  # fmt: skip
        with pytest.raises(LogKeyError, match=found):
            open_checkpoint(note_of(size, *signers), keys, by_all=True)


def test_a_fingerprint_is_read_aloud_in_eight_groups_and_differs_by_key() -> None:
    assert [len(group) for group in fingerprint(A.verifier).split(" ")] == [4] * 8
    assert fingerprint(A.verifier) != fingerprint(B.verifier)
