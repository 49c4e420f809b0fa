from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import NoteError
from ledger.note import (
    MAX_SIGNATURES,
    Note,
    NoteSigner,
    NoteVerifier,
    Signature,
    add_signatures,
    open_note,
    parse_note,
    sign_note,
)
from tests.small_log import signer

# The example of Go's golang.org/x/mod/sumdb/note documentation: public test keys.
NEUMANN_SIGNER = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
NEUMANN_VERIFIER = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
NEUMANN_TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
NEUMANN_NOTE = (
    f"{NEUMANN_TEXT}\n— PeterNeumann "
    "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)

TEXT = "a text\n\nwith a blank line, ñandú\n"
ALICE, BOB = signer("alice.example"), signer("bob.example")


def note() -> str:
    return sign_note(TEXT, [ALICE])


def test_the_example_of_the_go_documentation_is_signed_and_opened_byte_for_byte() -> None:
    neumann = NoteSigner.from_text(NEUMANN_SIGNER)
    assert sign_note(NEUMANN_TEXT, [neumann]) == NEUMANN_NOTE
    assert neumann.verifier.to_text() == NEUMANN_VERIFIER
    opened, signed_by = open_note(NEUMANN_NOTE, [NoteVerifier.from_text(NEUMANN_VERIFIER)])
    assert opened.text == NEUMANN_TEXT
    assert signed_by == (neumann.verifier,)


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\t") | st.just("\n"), max_size=60))
def test_a_signed_text_is_opened_again(text: str) -> None:
    try:
        signed = sign_note(text + "\n", [ALICE, BOB])
    except NoteError:
        assert any(char < " " and char != "\n" for char in text)
        return
    opened, signed_by = open_note(signed.encode(), [BOB.verifier, ALICE.verifier])
    assert opened.text == text + "\n"
    assert opened.to_text() == signed
    assert signed_by == (ALICE.verifier, BOB.verifier)


def test_every_flipped_bit_is_refused() -> None:
    data = note().encode()
    for at in range(len(data)):
        for bit in range(8):
            changed = bytearray(data)
            changed[at] ^= 1 << bit
            with pytest.raises(NoteError):
                open_note(bytes(changed), [ALICE.verifier])


def test_every_missing_or_doubled_byte_is_refused() -> None:
    data = note().encode()
    for at in range(len(data)):
        with pytest.raises(NoteError):
            open_note(data[:at] + data[at + 1 :], [ALICE.verifier])
        with pytest.raises(NoteError):
            open_note(data[:at] + data[at : at + 1] + data[at:], [ALICE.verifier])


def test_signatures_of_strangers_are_kept_and_ignored() -> None:
    signed = sign_note(TEXT, [BOB, ALICE])
    opened, signed_by = open_note(signed, [ALICE.verifier])
    assert signed_by == (ALICE.verifier,)
    assert [signature.name for signature in opened.signatures] == ["bob.example", "alice.example"]
    assert opened.to_text() == signed


def test_a_stranger_who_shares_name_or_key_id_but_not_both_is_ignored() -> None:
    namesake = signer("other.example")
    own = ALICE.sign(TEXT)
    lines = (
        own,
        Signature(own.name, namesake.verifier.key_id, b"not a signature at all"),
        Signature("carol.example", own.key_id, own.signature[::-1]),
    )
    _, signed_by = open_note(Note(TEXT, lines).to_text(), [ALICE.verifier])
    assert signed_by == (ALICE.verifier,)


def test_a_false_signature_of_a_known_key_spoils_the_note() -> None:
    false = Signature(BOB.name, BOB.verifier.key_id, ALICE.sign(TEXT).signature)
    with pytest.raises(NoteError, match="does not fit"):
        open_note(add_signatures(note(), [false]), [ALICE.verifier, BOB.verifier])


def test_a_note_no_known_key_signed_is_refused_with_a_hint() -> None:
    with pytest.raises(NoteError, match="no known key") as caught:
        open_note(note(), [BOB.verifier])
    assert caught.value.fix
    assert caught.value.fix in caught.value.diagnostics()
    with pytest.raises(NoteError):
        open_note(note(), [])


def test_sixteen_signatures_are_read_and_too_many_are_refused() -> None:
    sixteen = add_signatures(note(), [signer(f"witness{number}.example").sign(TEXT) for number in range(15)])
    assert len(parse_note(sixteen).signatures) == 16
    with pytest.raises(NoteError, match="at most"):
        parse_note(add_signatures(note(), [BOB.sign(TEXT)] * MAX_SIGNATURES))


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.removesuffix("\n"),
        lambda text: text + "\n",
        lambda text: text + "trailing\n",
        lambda text: text.replace("— ", "- "),
        lambda text: text.replace("— ", "—"),
        lambda text: text.replace("— alice.example ", "— alice.example"),
        lambda text: text.replace("— alice.example ", "—  "),
        lambda text: text.replace("alice.example ", "alice+example "),
        lambda text: text.replace("alice.example ", "alice.exam\u00a0ple "),
        lambda text: text.replace("=\n", "\n"),
        lambda text: "\x07" + text,
        lambda text: "\ud800" + text,
        lambda text: text.partition("—")[0],
        lambda text: "",
        lambda text: "\n\n" + text.rpartition("\n\n")[2],
        lambda text: "x" * 1_000_001 + text,
    ],
)
def test_a_note_that_breaks_a_rule_is_refused(change: object) -> None:
    with pytest.raises(NoteError):
        open_note(change(note()), [ALICE.verifier])  # type: ignore[operator]


def test_a_note_too_large_is_refused_though_well_signed() -> None:
    with pytest.raises(NoteError, match="at most"):
        open_note(sign_note("x" * 1_000_000 + "\n", [ALICE]), [ALICE.verifier])


def test_a_signature_repeated_counts_once() -> None:
    _, signed_by = open_note(add_signatures(note(), [ALICE.sign(TEXT)]), [ALICE.verifier])
    assert signed_by == (ALICE.verifier,)


def test_a_key_id_without_a_signature_is_refused() -> None:
    with pytest.raises(NoteError, match="key id of four bytes and a signature"):
        parse_note(Note(TEXT, (Signature("carol.example", 7, b""),)).to_text())


def test_bytes_that_are_not_utf_8_are_refused() -> None:
    with pytest.raises(NoteError, match="UTF-8"):
        parse_note(b"\xff" + note().encode())


@pytest.mark.parametrize("text", ["no newline", "tab\t\n", "\x00\n", "\x1f\n", "\ud800\n", ""])
def test_a_text_that_is_no_note_text_is_not_signed(text: str) -> None:
    with pytest.raises(NoteError):
        ALICE.sign(text)


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\u2003b", "a\nb", "\x01", "n" * 256])
def test_a_key_name_out_of_form_is_refused(name: str) -> None:
    with pytest.raises(NoteError):
        NoteSigner.generate(name)


def test_keys_are_written_and_read_back() -> None:
    fresh = NoteSigner.generate("fresh.example/log")
    again = NoteSigner.from_text(fresh.to_text())
    assert again.verifier.to_text() == fresh.verifier.to_text()
    assert NoteVerifier.from_text(fresh.verifier.to_text()) == fresh.verifier


@pytest.mark.parametrize("at", range(len(NEUMANN_VERIFIER)))
def test_a_verifier_key_with_a_changed_character_is_refused(at: int) -> None:
    changed = NEUMANN_VERIFIER[:at] + ("B" if NEUMANN_VERIFIER[at] != "B" else "C") + NEUMANN_VERIFIER[at + 1 :]
    with pytest.raises(NoteError):
        NoteVerifier.from_text(changed)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "name",
        "name+c74f20a3",
        "name+C74F20A3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "name+c74f20a3+AhpC2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "name+c74f20a3+!",
        "name+c74f20a3+",
        "name+c74f20a3+AQ==",
        "name+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TWAA==",
        NEUMANN_SIGNER,
    ],
)
def test_a_text_that_is_no_verifier_key_is_refused(text: str) -> None:
    with pytest.raises(NoteError):
        NoteVerifier.from_text(text)


@pytest.mark.parametrize(
    "text", ["", NEUMANN_VERIFIER, NEUMANN_SIGNER[:-1] + "A", NEUMANN_SIGNER.replace("c74f", "c74e")]
)
def test_a_text_that_is_no_signer_key_is_refused(text: str) -> None:
    with pytest.raises(NoteError):
        NoteSigner.from_text(text)


def test_neither_the_representation_of_a_signer_nor_an_error_shows_the_key() -> None:
    assert NEUMANN_SIGNER[-30:] not in repr(NoteSigner.from_text(NEUMANN_SIGNER))
    with pytest.raises(NoteError) as caught:
        NoteSigner.from_text(NEUMANN_SIGNER.replace("c74f", "c74e"))
    assert NEUMANN_SIGNER[-30:-4] not in str(caught.value)
