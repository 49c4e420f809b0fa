"""The readers of notes, keys, checkpoints, proofs, leaves, bodies, statements and tiles, as targets of the fuzzers."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import replace
from hashlib import sha256

from ledger.checkpoint import Checkpoint, open_checkpoint, read_unverified_checkpoint
from ledger.cosignature import CosignatureSigner, CosignatureVerifier
from ledger.errors import FormatError, NoteError, ProofError, StatementError
from ledger.leaf import MAX_LEAF_SIZE, Body, Leaf, subject_tag
from ledger.note import NoteSigner, NoteVerifier, add_signatures, parse_note, sign_note
from ledger.proof import UnitProof, format_proof, parse_proof, verify_leaf_proof, verify_unit_proof
from ledger.statement import RECEIPT_TYPE, STATEMENT_TYPE, read_unverified, sign_statement, verify_statement
from ledger.strict import (
    decode_base64,
    decode_base64url,
    decode_decimal,
    decode_json_object,
    encode_base64,
    encode_base64url,
    encode_json,
)
from ledger.tiles import format_entry_bundle, parse_entry_bundle, parse_tile_path, tile_path
from tests.ledger.fuzzing import Target, as_bytes, as_text
from tests.small_log import ISSUER_KEY_ID, ORIGIN, issuer_key, log_of, private_key, signer, unit_content, unit_proof

BUNDLE_WIDTH = 3
_KEY = signer()
_LOG = log_of(9)
_INDEX, _POSITION = 5, 17
_UNIT = unit_proof()
_PAYLOAD = {"batch": "LOT-7", "note": "ñandú", "size": 50}
_WITNESS = CosignatureSigner("witness.example", private_key("witness"))


# --- notes, keys, checkpoints -------------------------------------------------------------------------------------

_CHECKPOINTS = tuple(_LOG.checkpoint(size) for size in (9, 7, 1, 0))
_GENUINE = {signed.checkpoint for signed in _CHECKPOINTS}
_EXTENDED = Checkpoint(ORIGIN, 12, b"\x2a" * 32, ("an extension", "ñandú"))
_WITNESSED = add_signatures(
    _CHECKPOINTS[0].note_text, [_WITNESS.sign_at(_CHECKPOINTS[0].checkpoint.to_text(), 1_700_000_000)]
)
_NOTES = (
    *(signed.note_text.encode() for signed in _CHECKPOINTS),
    _WITNESSED.encode(),
    sign_note("a text\n\nwith a blank line, ñandú\n", [_KEY, signer("bob.example")]).encode(),
)


def _read_genuine_checkpoint(data: bytes) -> bytes:
    opened = open_checkpoint(data, _KEY.verifier)
    assert opened.checkpoint in _GENUINE, "a checkpoint that the log never signed"
    return opened.note_text.encode()


def _read_cosigned(data: bytes) -> bytes:
    note = parse_note(data)
    for line in note.signatures:
        if line.name == _WITNESS.name and line.key_id == _WITNESS.verifier.key_id:
            _WITNESS.verifier.verify(note.text, line.signature)
            assert note.text == _CHECKPOINTS[0].checkpoint.to_text(), "a text that the witness never cosigned"
            return note.to_text().encode()
    raise NoteError("the witness has not signed")


def _read_checkpoint_text(data: bytes) -> bytes:
    return as_bytes(Checkpoint.from_text(as_text(data)).to_text())


# --- proofs -------------------------------------------------------------------------------------------------------

_PROOFS = (
    _LOG.prove(_INDEX).encode(),
    _LOG.prove(_INDEX, extra=b"context").encode(),
    _LOG.prove(_INDEX).replace(_CHECKPOINTS[0].note_text, _WITNESSED).encode(),
)


def _read_proof(data: bytes) -> bytes:
    proof = parse_proof(data)
    return format_proof(proof.index, proof.path, proof.checkpoint_note, proof.extra).encode()


def _read_genuine_proof(data: bytes) -> bytes:
    checkpoint = verify_leaf_proof(data, _LOG.leaves[_INDEX].hash(), _KEY.verifier)
    assert checkpoint in _GENUINE
    assert parse_proof(data).index == _INDEX, "the leaf is at no other place"
    return _read_proof(data)


def _read_unit_proof(data: bytes) -> bytes:
    """The JSON may come in other spellings, inside of a larger answer: the value must be kept, not the spelling."""
    proof = UnitProof.from_json(data)
    written = proof.to_json()
    assert UnitProof.from_json(written) == proof
    assert UnitProof.from_json(written).to_json() == written
    return data


def _read_genuine_unit_proof(data: bytes) -> bytes:
    proof = UnitProof.from_json(data)
    unit = verify_unit_proof(
        proof,
        content=unit_content(_POSITION),
        log_verifier=_KEY.verifier,
        statement_key=issuer_key().public_key(),
    )
    assert unit.position == _POSITION
    # What nobody signed may differ: the extra data of the leaf's proof and the lines of unknown witnesses.
    assert replace(proof, leaf_proof=_UNIT.leaf_proof) == _UNIT, "a unit proof that was never given"
    return data


# --- leaves, bodies, statements, tiles ----------------------------------------------------------------------------

_TAGS = tuple(subject_tag(bytes([number]) * 32, number) for number in range(3))
_LEAVES = tuple(Leaf(sha256(tag).digest(), sha256(tag * 2).digest(), _TAGS[: at + 1]) for at, tag in enumerate(_TAGS))
_LONGEST_LEAF = Leaf(bytes(32), bytes(32), _TAGS[:1] * ((MAX_LEAF_SIZE - 65) // 16))
_STATEMENT = sign_statement(_PAYLOAD, private_key=issuer_key(), key_id=ISSUER_KEY_ID, typ=STATEMENT_TYPE)
_RECEIPT = sign_statement(_PAYLOAD, private_key=issuer_key(), key_id=ISSUER_KEY_ID, typ=RECEIPT_TYPE)
_BODIES = (
    _UNIT.batch_entry.body,
    Body("unit.recalled", ((b"\x01" * 32, 0), (b"\x02" * 32, 2**63 - 1)), _STATEMENT, "key-1").to_bytes(),
)


def _read_genuine_statement(data: bytes) -> bytes:
    statement = verify_statement(data, public_key=issuer_key().public_key(), typ=STATEMENT_TYPE)
    assert statement.token == _STATEMENT, "a statement that was never signed"
    return statement.token


def _read_json(data: bytes) -> bytes:
    value = decode_json_object(data)
    assert decode_json_object(encode_json(value)) == value
    return data


def _read_tile_path(data: bytes) -> bytes:
    return as_bytes(tile_path(*parse_tile_path(as_text(data))))


def _read_bundle(data: bytes) -> bytes:
    return format_entry_bundle(parse_entry_bundle(data, BUNDLE_WIDTH))


FORMATS = (
    Target("note", _NOTES, (NoteError,), lambda data: parse_note(data).to_text().encode()),
    Target("note-text", _NOTES, (NoteError,), lambda data: as_bytes(parse_note(as_text(data)).to_text())),
    Target(
        "verifier-key",
        (_KEY.verifier.to_text().encode(), b"PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"),
        (NoteError,),
        lambda data: as_bytes(NoteVerifier.from_text(as_text(data)).to_text()),
    ),
    Target(
        "signer-key",
        (_KEY.to_text().encode(),),
        (NoteError,),
        lambda data: as_bytes(NoteSigner.from_text(as_text(data)).to_text()),
    ),
    Target(
        "checkpoint-text",
        (*(signed.checkpoint.to_text().encode() for signed in _CHECKPOINTS), _EXTENDED.to_text().encode()),
        (NoteError,),
        _read_checkpoint_text,
    ),
    Target(
        "unverified-checkpoint",
        _NOTES[:-1],
        (NoteError,),
        lambda data: data if read_unverified_checkpoint(data).to_text() == parse_note(data).text else b"",
    ),
    Target("checkpoint", _NOTES[:-1], (NoteError,), _read_genuine_checkpoint),
    Target("cosignature", (_WITNESSED.encode(),), (NoteError,), _read_cosigned),
    Target(
        "cosigner-key",
        (_WITNESS.verifier.to_text().encode(),),
        (NoteError,),
        lambda data: as_bytes(CosignatureVerifier.from_text(as_text(data)).to_text()),
    ),
    Target("proof", _PROOFS, (ProofError,), _read_proof),
    Target("leaf-proof", _PROOFS, (ProofError, NoteError), _read_genuine_proof),
    Target("unit-proof", (_UNIT.to_json().encode(),), (ProofError,), _read_unit_proof),
    Target(
        "unit-proof-verified",
        (_UNIT.to_json().encode(),),
        (ProofError, NoteError, StatementError),
        _read_genuine_unit_proof,
    ),
    Target(
        "leaf",
        (*(leaf.to_bytes() for leaf in _LEAVES), _LONGEST_LEAF.to_bytes()),
        (FormatError,),
        lambda data: Leaf.from_bytes(data).to_bytes(),
    ),
    Target("body", _BODIES, (FormatError,), lambda data: Body.from_bytes(data).to_bytes()),
    Target("statement", (_STATEMENT,), (StatementError,), _read_genuine_statement),
    Target("unverified-statement", (_STATEMENT, _RECEIPT), (StatementError,), lambda data: read_unverified(data).token),
    Target(
        "tile-path",
        (b"tile/0/000", b"tile/63/x001/x234/067", b"tile/entries/x001/234.p/17", b"tile/1/000.p/255"),
        (FormatError,),
        _read_tile_path,
    ),
    Target(
        "entry-bundle",
        (format_entry_bundle(leaf.to_bytes() for leaf in _LEAVES), format_entry_bundle([b"", b"x", b""])),
        (FormatError,),
        _read_bundle,
    ),
    Target("json", (*_BODIES, b'{"a":[1,{"b":"\\u00f1"}],"c":null}'), (FormatError,), _read_json),
    Target(
        "base64",
        (b64encode(bytes(32)), b"", b"QQ=="),
        (FormatError,),
        lambda data: encode_base64(decode_base64(as_text(data))).encode(),
    ),
    Target(
        "base64url",
        (*_STATEMENT.split(b"."), b""),
        (FormatError,),
        lambda data: encode_base64url(decode_base64url(data)),
    ),
    Target(
        "decimal",
        (b"0", b"17", b"9223372036854775807"),
        (FormatError,),
        lambda data: as_bytes(str(decode_decimal(as_text(data)))),
    ),
)
