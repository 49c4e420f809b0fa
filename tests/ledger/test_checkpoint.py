from __future__ import annotations

from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.checkpoint import Checkpoint, open_checkpoint, read_unverified_checkpoint, sign_checkpoint
from ledger.errors import LogKeyError, NoteError
from ledger.keys.log_keys import LogKey, LogKeys
from ledger.merkle import EMPTY_ROOT
from ledger.note import NoteSigner, add_signatures, sign_note
from tests.small_log import ORIGIN, private_key, signer

ROOT = b"\x2a" * 32
HEAD = Checkpoint(ORIGIN, 7, ROOT)
KEY = signer()
NEXT_KEY = NoteSigner(ORIGIN, private_key("the log's next key"))


def test_the_text_is_that_of_the_specification() -> None:
    assert HEAD.to_text() == f"{ORIGIN}\n7\n{b64encode(ROOT).decode()}\n"


@given(
    st.integers(1, 2**63 - 1), st.binary(min_size=32, max_size=32), st.lists(st.text("abc ñ", min_size=1), max_size=3)
)
def test_a_signed_checkpoint_is_opened_again(size: int, root: bytes, extensions: list[str]) -> None:
    signed = sign_checkpoint(Checkpoint(ORIGIN, size, root, tuple(extensions)), KEY)
    assert open_checkpoint(signed.note_text, KEY.verifier) == signed
    assert open_checkpoint(signed.note_text.encode(), KEY.verifier) == signed
    assert read_unverified_checkpoint(signed.note_text) == signed.checkpoint


def test_a_witness_signature_changes_nothing_and_is_kept() -> None:
    signed = sign_checkpoint(HEAD, KEY)
    witnessed = add_signatures(signed.note_text, [signer("witness.example").sign(HEAD.to_text())])
    opened = open_checkpoint(witnessed, KEY.verifier)
    assert opened.checkpoint == HEAD
    assert opened.note_text == witnessed


def test_the_checkpoint_of_another_log_is_refused_even_when_signed_by_our_key() -> None:
    foreign = sign_checkpoint(Checkpoint("log.example/other", 7, ROOT), KEY)
    with pytest.raises(NoteError, match="another log"):
        open_checkpoint(foreign.note_text, KEY.verifier)
    assert open_checkpoint(foreign.note_text, KEY.verifier, origin="log.example/other") == foreign


def test_the_log_itself_asks_for_the_signatures_of_all_keys_that_sign_a_size() -> None:
    keys = LogKeys((LogKey(KEY.verifier), LogKey(NEXT_KEY.verifier, 5, None, "the succession")))
    both = sign_checkpoint(HEAD, KEY, NEXT_KEY)
    assert open_checkpoint(both.note_text, keys, by_all=True) == both
    for one in (KEY, NEXT_KEY):
        alone = sign_checkpoint(HEAD, one)
        assert open_checkpoint(alone.note_text, keys) == alone
        with pytest.raises(LogKeyError, match="has to sign"):
            open_checkpoint(alone.note_text, keys, by_all=True)


def test_the_empty_tree_has_its_own_root() -> None:
    assert Checkpoint.from_text(Checkpoint(ORIGIN, 0, EMPTY_ROOT).to_text()).size == 0
    with pytest.raises(NoteError, match="empty tree"):
        Checkpoint(ORIGIN, 0, ROOT)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        f"{ORIGIN}\n7\n",
        f"\n7\n{b64encode(ROOT).decode()}\n",
        f"{ORIGIN}\n07\n{b64encode(ROOT).decode()}\n",
        f"{ORIGIN}\n-7\n{b64encode(ROOT).decode()}\n",
        f"{ORIGIN}\n7 \n{b64encode(ROOT).decode()}\n",
        f"{ORIGIN}\n٧\n{b64encode(ROOT).decode()}\n",
        f"{ORIGIN}\n{2**63}\n{b64encode(ROOT).decode()}\n",
        f"{ORIGIN}\n7\n{b64encode(ROOT[1:]).decode()}\n",
        f"{ORIGIN}\n7\n{b64encode(ROOT).decode().rstrip('=')}\n",
        f"{ORIGIN}\n7\n{ROOT.hex()}\n",
        f"{ORIGIN}\n7\n{b64encode(ROOT).decode()}\n\n",
        f"{ORIGIN}\n7\n{b64encode(ROOT).decode()}\n\nextension\n",
        f"{ORIGIN}\n7\n{b64encode(ROOT).decode()}",
        f"{ORIGIN}\r\n7\r\n{b64encode(ROOT).decode()}\r\n",
    ],
)
def test_a_signed_text_in_another_spelling_is_no_checkpoint(text: str) -> None:
    with pytest.raises(NoteError):
        Checkpoint.from_text(text)
    try:
        note = sign_note(text, [KEY])
    except NoteError:
        return
    with pytest.raises(NoteError):
        open_checkpoint(note, KEY.verifier)


@pytest.mark.parametrize(
    ("origin", "size", "root", "extensions"),
    [
        ("", 7, ROOT, ()),
        ("two\nlines", 7, ROOT, ()),
        (ORIGIN, -1, ROOT, ()),
        (ORIGIN, 2**63, ROOT, ()),
        (ORIGIN, 7, ROOT[1:], ()),
        (ORIGIN, 7, ROOT, ("",)),
        (ORIGIN, 7, ROOT, ("a\nb",)),
    ],
)
def test_a_checkpoint_out_of_form_cannot_be_made(
    origin: str, size: int, root: bytes, extensions: tuple[str, ...]
) -> None:
    with pytest.raises(NoteError):
        Checkpoint(origin, size, root, extensions)


def test_a_control_character_in_the_origin_is_not_signed() -> None:
    with pytest.raises(NoteError):
        sign_checkpoint(Checkpoint("log\x07", 7, ROOT), KEY)
