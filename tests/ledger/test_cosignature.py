from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey, MLDSA44PublicKey
from hypothesis import given
from hypothesis import strategies as st

from ledger import cosignature
from ledger.checkpoint import Checkpoint
from ledger.cosignature import (
    ED25519_COSIGNATURE,
    ML_DSA_44_COSIGNATURE,
    PUBLIC_KEY_SIZES,
    CosignatureSigner,
    CosignatureVerifier,
)
from ledger.errors import NoteError
from ledger.note import KeyParts, NoteVerifier, Signature, Verifier, open_note, parse_note, read_key
from ledger.strict import MAX_INTEGER
from tests.small_log import ORIGIN, log_of, signer
from tests.witness_builders import NOW, cosigned, cosigner_key

TYPES = [ED25519_COSIGNATURE, ML_DSA_44_COSIGNATURE]
NAME = "witness.example/w1"
TEXT = parse_note(log_of(5).checkpoint().note_text).text
both_types = pytest.mark.parametrize("signature_type", TYPES)


def vectors() -> dict[str, Any]:
    """A checkpoint signed and cosigned by Go's transparency-dev/formats, which shares no code with us."""
    text = (Path(__file__).parents[1] / "vectors" / "cosignatures.json").read_text("utf-8")
    found: dict[str, Any] = json.loads(text)
    return found


def test_cosignatures_made_by_another_implementation_are_verified() -> None:
    made = vectors()
    log = NoteVerifier.from_text(made["log"])
    witnesses = [CosignatureVerifier.from_text(made[name]) for name in ("ed25519", "ml_dsa_44")]
    known: list[Verifier] = [log, *witnesses]
    note, signed_by = open_note(made["note"], known)
    assert signed_by == tuple(known)
    times = [key.time_of(line.signature) for key, line in zip(witnesses, note.signatures[1:], strict=True)]
    assert times == [made["time"]] * 2


@both_types
def test_a_verifier_key_of_another_implementation_is_written_back_byte_for_byte(signature_type: int) -> None:
    text = vectors()["ed25519" if signature_type == ED25519_COSIGNATURE else "ml_dsa_44"]
    verifier = CosignatureVerifier.from_text(text)
    assert verifier.signature_type == signature_type
    assert verifier.to_text() == text


def test_the_ed25519_message_is_the_one_of_the_specification() -> None:
    text = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
    key = cosigner_key(NAME)
    made = key.sign_at(text, 1_679_315_147).signature
    assert struct.unpack(">Q", made[:8]) == (1_679_315_147,)
    assert isinstance(key.verifier.public_key, Ed25519PublicKey)
    key.verifier.public_key.verify(made[8:], b"cosignature/v1\ntime 1679315147\n" + text.encode())


def test_the_ml_dsa_message_is_the_one_of_the_specification() -> None:
    key = cosigner_key(NAME, ML_DSA_44_COSIGNATURE)
    made = key.sign_at(TEXT, NOW).signature
    root = Checkpoint.from_text(TEXT).root
    message = b"subtree/v1\n\x00" + bytes([len(NAME)]) + NAME.encode() + NOW.to_bytes(8, "big")
    message += bytes([len(ORIGIN)]) + ORIGIN.encode() + bytes(8) + (5).to_bytes(8, "big") + root
    assert isinstance(key.verifier.public_key, MLDSA44PublicKey)
    key.verifier.public_key.verify(made[8:], message)


def test_an_ml_dsa_cosignature_says_nothing_of_extension_lines() -> None:
    """The specification leaves them out of the message: only the log's own signature covers them."""
    key = cosigner_key(NAME, ML_DSA_44_COSIGNATURE)
    key.verifier.verify(f"{TEXT}extension\n", key.sign(TEXT).signature)
    other = cosigner_key(NAME)
    with pytest.raises(NoteError, match="does not fit"):
        other.verifier.verify(f"{TEXT}extension\n", other.sign(TEXT).signature)


@both_types
@given(moment=st.integers(1, MAX_INTEGER))
def test_a_cosignature_is_verified_and_tells_its_time(signature_type: int, moment: int) -> None:
    key = cosigner_key(NAME, signature_type)
    line = key.sign_at(TEXT, moment)
    key.verifier.verify(TEXT, line.signature)
    assert key.verifier.time_of(line.signature) == moment
    assert (line.name, line.key_id) == (NAME, key.verifier.key_id)


@both_types
def test_every_changed_byte_is_refused(signature_type: int) -> None:
    key = cosigner_key(NAME, signature_type)
    made = key.sign(TEXT).signature
    step = 1 if signature_type == ED25519_COSIGNATURE else 61
    for at in [*range(8), *range(8, len(made), step)]:
        changed = made[:at] + bytes([made[at] ^ 1]) + made[at + 1 :]
        with pytest.raises(NoteError):
            key.verifier.verify(TEXT, changed)


@both_types
def test_a_cosignature_fits_no_other_checkpoint(signature_type: int) -> None:
    key = cosigner_key(NAME, signature_type)
    made = key.sign(TEXT).signature
    checkpoint = Checkpoint.from_text(TEXT)
    others = [
        Checkpoint("other.example/log", 5, checkpoint.root),
        Checkpoint(ORIGIN, 6, checkpoint.root),
        Checkpoint(ORIGIN, 5, bytes(32)),
    ]
    for other in others:
        with pytest.raises(NoteError, match="does not fit"):
            key.verifier.verify(other.to_text(), made)


@both_types
def test_a_cosignature_of_the_wrong_length_is_refused(signature_type: int) -> None:
    key = cosigner_key(NAME, signature_type)
    made = key.sign(TEXT).signature
    for length in (0, 8, len(made) - 1):
        with pytest.raises(NoteError, match="too long"):
            key.verifier.verify(TEXT, made[:length])
    with pytest.raises(NoteError, match="too long"):
        key.verifier.verify(TEXT, made + b"\0")


@both_types
@pytest.mark.parametrize("moment", [0, -1, MAX_INTEGER + 1])
def test_nothing_is_cosigned_without_a_possible_time(signature_type: int, moment: int) -> None:
    with pytest.raises(NoteError, match="needs the time"):
        cosigner_key(NAME, signature_type).sign_at(TEXT, moment)


@both_types
def test_a_time_beyond_63_bits_is_refused(signature_type: int) -> None:
    key = cosigner_key(NAME, signature_type)
    with pytest.raises(NoteError, match="impossible time"):
        key.verifier.time_of((MAX_INTEGER + 1).to_bytes(8, "big") + key.sign(TEXT).signature[8:])


def test_only_ml_dsa_may_leave_the_time_out() -> None:
    assert cosigner_key(NAME, ML_DSA_44_COSIGNATURE).verifier.time_of(bytes(8 + 2_420)) == 0
    with pytest.raises(NoteError, match="impossible time"):
        cosigner_key(NAME).verifier.time_of(bytes(8 + 64))


@both_types
def test_only_checkpoints_are_cosigned(signature_type: int) -> None:
    with pytest.raises(NoteError, match="three lines"):
        cosigner_key(NAME, signature_type).sign("any text\n")


def test_an_origin_that_the_ml_dsa_message_cannot_hold_is_refused() -> None:
    text = Checkpoint("o" * 256, 5, bytes(32)).to_text()
    with pytest.raises(NoteError, match="at most 255 bytes"):
        cosigner_key(NAME, ML_DSA_44_COSIGNATURE).sign(text)


@both_types
def test_keys_are_written_and_read_again(signature_type: int) -> None:
    made = CosignatureSigner.generate(NAME, signature_type)
    read = CosignatureSigner.from_text(made.to_text())
    assert read.verifier == made.verifier
    assert CosignatureVerifier.from_text(made.verifier.to_text()) == made.verifier
    assert f"{made.verifier.key_id:08x}" in made.to_text()


def test_a_representation_never_shows_the_private_key() -> None:
    made = CosignatureSigner.generate(NAME)
    assert made.private_key.private_bytes_raw().hex() not in repr(made)
    parts = KeyParts(NAME, 1, ED25519_COSIGNATURE, b"secret")
    assert "secret" not in repr(parts)


def test_the_same_key_has_another_id_under_another_type_and_name() -> None:
    key = cosigner_key(NAME)
    as_log = NoteVerifier(NAME, key.verifier.public_key)  # type: ignore[arg-type]  # it is Ed25519 here
    renamed = CosignatureVerifier("witness.example/w2", key.verifier.public_key)
    assert len({key.verifier.key_id, as_log.key_id, renamed.key_id}) == 3


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda text: text.replace("w1+", "w2+"), "does not match its own hash"),
        (lambda text: text[:-4], "has 32 bytes"),
        (lambda text: text.replace("+B", "+A"), "not known here"),
        (lambda text: text.replace("+", "", 1), "name+hash+base64|eight lower-case"),
        (lambda text: f"{text}=", "base64"),
        (lambda text: text.rpartition("+")[0] + "+", "not known here"),
    ],
)
def test_a_damaged_verifier_key_is_refused(change: Any, reason: str) -> None:
    with pytest.raises(NoteError, match=reason):
        CosignatureVerifier.from_text(change(cosigner_key(NAME).verifier.to_text()))


def test_the_key_of_a_log_is_not_taken_for_that_of_a_witness() -> None:
    with pytest.raises(NoteError, match="first byte of its last part must be 4, 6"):
        CosignatureVerifier.from_text(signer().verifier.to_text())
    with pytest.raises(NoteError, match="must be 1"):
        NoteVerifier.from_text(cosigner_key(NAME).verifier.to_text())


def test_a_signer_key_of_another_public_half_is_refused() -> None:
    text, other = cosigner_key(NAME).to_text(), cosigner_key("other.example/w").to_text()
    mixed = f"{text.rpartition('+')[0]}+{other.rpartition('+')[2]}"
    with pytest.raises(NoteError, match="does not match its own hash") as refused:
        CosignatureSigner.from_text(mixed)
    assert other.rpartition("+")[2] not in str(refused.value)
    with pytest.raises(NoteError, match="starts with PRIVATE"):
        CosignatureSigner.from_text(cosigner_key(NAME).verifier.to_text())


def test_cosignatures_of_both_types_stand_on_one_note_with_the_logs() -> None:
    keys = [cosigner_key("a.example/w"), cosigner_key("b.example/w", ML_DSA_44_COSIGNATURE)]
    note = cosigned(log_of(5).checkpoint().note_text, *keys)
    verifiers: list[Verifier] = [signer().verifier, *(key.verifier for key in keys)]
    assert open_note(note, verifiers)[1] == tuple(verifiers)
    # Who knows none of the witnesses reads the note as before.
    assert open_note(note, [signer().verifier])[1] == (signer().verifier,)


def test_a_line_with_the_name_or_the_id_only_is_not_the_witnesss() -> None:
    key = cosigner_key(NAME)
    line = key.sign(TEXT)
    others = [Signature("x.example", line.key_id, b"?"), Signature(NAME, line.key_id ^ 1, b"?")]
    note = parse_note(log_of(5).checkpoint().note_text)
    lines = "".join(one.line() for one in (*note.signatures, *others, line))
    assert open_note(f"{TEXT}\n{lines}", [key.verifier])[1] == (key.verifier,)


def test_a_machine_without_ml_dsa_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    verifier_key = cosigner_key(NAME, ML_DSA_44_COSIGNATURE).verifier.to_text()
    secret = cosigner_key(NAME, ML_DSA_44_COSIGNATURE).to_text()

    def unsupported(*_args: object) -> MLDSA44PrivateKey:
        raise UnsupportedAlgorithm("no")

    class Absent:
        generate = from_seed_bytes = from_public_bytes = staticmethod(unsupported)

    monkeypatch.setattr(cosignature, "MLDSA44PrivateKey", Absent)
    monkeypatch.setattr(cosignature, "MLDSA44PublicKey", Absent)
    with pytest.raises(NoteError, match="has no ML-DSA-44"):
        CosignatureSigner.generate(NAME, ML_DSA_44_COSIGNATURE)
    with pytest.raises(NoteError, match="has no ML-DSA-44"):
        CosignatureSigner.from_text(secret)
    with pytest.raises(NoteError, match="has no ML-DSA-44"):
        CosignatureVerifier.from_text(verifier_key)


@given(st.text(max_size=80) | st.text("PRIVATE+KEY+witness0123456789abcdef/=", max_size=80))
def test_any_text_is_read_as_a_key_or_refused_with_a_note_error(text: str) -> None:
    for read in (CosignatureVerifier.from_text, CosignatureSigner.from_text):
        with pytest.raises(NoteError):
            read(text)
    with pytest.raises(NoteError):
        read_key(text, PUBLIC_KEY_SIZES)
