"""The readers of what services, witnesses and backups exchange, as targets of the fuzzers."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

from ledger import merkle
from ledger.backup.copy_format import read_rows
from ledger.backup.manifest import BackupFile, Manifest
from ledger.cosignature import CosignatureSigner
from ledger.errors import (
    BackupError,
    FormatError,
    LogKeyError,
    NoteError,
    PolicyError,
    ProofError,
    StatementError,
)
from ledger.keys.entries import read_key_entry, rotation
from ledger.keys.log_keys import LogKey, LogKeys, read_succession, sign_succession
from ledger.keys.trust_root import keys_from_members, keys_to_members
from ledger.leaf import Body, commitment, subject_tag
from ledger.map.state_proof import ErasedContent, OpenContent, ShownEntry, StateProof, verify_state_proof
from ledger.map.statement import MAP_KIND, MAP_SUBJECT
from ledger.map.subject_map import bucket_of, bucket_path, build_map, decode_bucket, encode_bucket
from ledger.mark.high_water import Mark
from ledger.note import NoteSigner
from ledger.own import OwnKind, StatementSigner
from ledger.statement import STATEMENT_TYPE, sign_statement
from ledger.strict import decode_json_object, encode_base64, encode_json
from ledger.witness.protocol import AddCheckpoint, format_size, parse_size
from ledger.witnessing.policy import Policy
from tests.ledger.fuzzing import Target, as_text
from tests.small_log import ORIGIN, SmallLog, log_of, private_key, signer

_KEY = signer()
_NEXT_KEY = NoteSigner(ORIGIN, private_key("the log's next key"))
_LOG = log_of(9)
_HEAD = _LOG.checkpoint()

# --- witnesses and the high-water mark ----------------------------------------------------------------------------

_POLICY = (
    f"# a comment\nlog {_KEY.verifier.to_text()} https://log.example/\n\n"
    f"witness one {CosignatureSigner('one.example', private_key('one')).verifier.to_text()} https://one.example/\n"
    f"witness two {CosignatureSigner('two.example', private_key('two')).verifier.to_text()}\n"
    "group both all one two\ngroup either any both\nquorum either\n"
).encode()
_REQUESTS = tuple(
    AddCheckpoint(old, tuple(merkle.consistency_path(_LOG.hashes(), old)), _HEAD.note_text).to_bytes()
    for old in (0, 3, 9)
)
_MARK = Mark(7, ORIGIN, 9, _HEAD.checkpoint.root, 1_700_000_000_000)


def _read_policy(data: bytes) -> bytes:
    """A policy has comments and free white space: it is the value that is kept."""
    policy = Policy.from_bytes(data)
    assert Policy.from_bytes(policy.to_bytes()) == policy
    assert Policy.from_bytes(policy.to_bytes()).to_bytes() == policy.to_bytes()
    return data


# --- the keys of the log ------------------------------------------------------------------------------------------

_SUCCESSION = sign_succession(_KEY, _NEXT_KEY)
_KEYS = LogKeys((LogKey(_KEY.verifier, 0, 20), LogKey(_NEXT_KEY.verifier, 8, None, _SUCCESSION)))
_ROTATION = rotation(_KEY.verifier, _NEXT_KEY.verifier, _SUCCESSION)
_KEY_ENTRY = StatementSigner("key-1", private_key("registry")).entry(OwnKind.KEY, _ROTATION, at_ms=1_700_000_000_000)
_KEY_BODY = Body(
    _KEY_ENTRY.kind, tuple((name, 0) for name in _KEY_ENTRY.subjects), _KEY_ENTRY.statement, "key-1"
).to_bytes()


def _read_succession(data: bytes) -> bytes:
    assert read_succession(as_text(data), _KEY.verifier) == _NEXT_KEY.verifier, "a key that was never named"
    return data


def _read_log_keys(data: bytes) -> bytes:
    keys = keys_from_members(decode_json_object(data).get("log_keys"))
    assert keys_from_members(keys_to_members(keys)) == keys
    # Only the sizes stand in no signature here: the trust list that holds them is signed as a whole.
    assert all(key.verifier in (_KEY.verifier, _NEXT_KEY.verifier) for key in keys.keys[1:])
    return data


def _read_key_entry(data: bytes) -> bytes:
    entry = read_key_entry(7, data)
    assert entry.succession is None or (entry.old, entry.new) == (_KEY.verifier, _NEXT_KEY.verifier)
    return data


# --- the state of a subject ---------------------------------------------------------------------------------------

_UNIT = sha256(b"unit").digest()
_MAP_KEY = private_key("registry")


def _state_proof() -> StateProof:
    """Three entries about a unit, the second of them erased, and a map after all of them."""
    log, records, contents = SmallLog(), [], {}
    for number in range(6):
        subject, sequence = (_UNIT, number // 2) if number % 2 == 0 else (sha256(b"%d" % number).digest(), 0)
        body = Body("test.event", ((subject, sequence),), b"e30.e30.c2ln", "key-1")
        content = OpenContent(bytes([number]) * 32, body.to_bytes())
        log.append(commitment(content.salt, content.body), body.tags())
        records += [(tag, number) for tag in body.tags()]
        contents[number] = content
    change = build_map(sorted(records), size=0)
    time = "2026-01-01T00:00:00.000Z"
    stated = {"v": 1, "kind": MAP_KIND, "size": 6, "root": encode_base64(change.root), "time": time}
    statement = sign_statement(stated, private_key=_MAP_KEY, key_id="key-1", typ=STATEMENT_TYPE)
    map_body = Body(MAP_KIND, ((MAP_SUBJECT, 0),), statement, "key-1")
    map_content = OpenContent(b"\x0b" * 32, map_body.to_bytes())
    log.append(commitment(map_content.salt, map_content.body), map_body.tags())
    hashes = log.hashes()

    def shown(index: int, content: OpenContent | ErasedContent) -> ShownEntry:
        path = tuple(merkle.inclusion_path(hashes, index))
        return ShownEntry(index, log.leaves[index].prev, content, path)

    tiles = {(tile.level, tile.index): tile.data for tile in change.tiles}
    bucket = bucket_of(subject_tag(_UNIT, 3))
    return StateProof(
        subject=_UNIT,
        entries=(
            shown(0, contents[0]),
            shown(2, ErasedContent(log.leaves[2].commitment, log.leaves[2].tags)),
            shown(4, contents[4]),
        ),
        map_entry=shown(6, map_content),
        bucket=encode_bucket(record for record in sorted(records) if bucket_of(record[0]) == bucket),
        bucket_path=tuple(bucket_path(lambda level, index: tiles[level, index], bucket)),
        checkpoint_note=log.checkpoint().note_text,
    )


_STATE = _state_proof()
_BUCKET = bucket_of(subject_tag(_UNIT, 0))
_TAGS = sorted(_BUCKET.to_bytes(2, "big") + bytes([number]) * 14 for number in range(3))


def _read_state_proof(data: bytes) -> bytes:
    proof = StateProof.from_json(data)
    assert StateProof.from_json(proof.to_json()) == proof
    return data


def _read_genuine_state_proof(data: bytes) -> bytes:
    proof = StateProof.from_json(data)
    state = verify_state_proof(
        proof, subject=_UNIT, log_verifier=_KEY.verifier, map_keys={"key-1": _MAP_KEY.public_key()}
    )
    assert [entry.index for entry in state.entries] == [0, 2, 4], "an entry was left out or put in"
    # What nobody signed may differ: signature lines of unknown witnesses, and whether an entry's body is shown.
    assert replace(proof, checkpoint_note="", entries=()) == replace(_STATE, checkpoint_note="", entries=())
    return data


# --- backups ------------------------------------------------------------------------------------------------------

_FILE = BackupFile("ledger_heads.copy", 40, sha256(b"rows").hexdigest(), 2, ("size", "root"))
_MANIFEST = Manifest(
    "postgresql", "0002", ORIGIN, 9, bytes(32), _HEAD.note_text, "2026-01-01T00:00:00Z", (_FILE,), {"scans.number": 7}
)
_ROWS = (
    b"PGCOPY\n\xff\r\n\x00"
    + bytes(8)
    + b"\x00\x02\x00\x00\x00\x03one\xff\xff\xff\xff"
    + b"\x00\x02\x00\x00\x00\x00\x00\x00\x00\x01x\xff\xff"
)


def _read_manifest(data: bytes) -> bytes:
    manifest = Manifest.from_bytes(data)
    assert Manifest.from_bytes(manifest.to_bytes()) == manifest
    return data


def _read_rows(data: bytes) -> bytes:
    with tempfile.NamedTemporaryFile(suffix=".copy") as file:
        file.write(data)
        file.flush()
        rows = list(read_rows(Path(file.name), 2))
    fields = [
        b"\xff\xff\xff\xff" if field is None else len(field).to_bytes(4, "big") + field for row in rows for field in row
    ]
    pairs = [b"\x00\x02" + one + two for one, two in zip(fields[::2], fields[1::2], strict=True)]
    return _ROWS[:19] + b"".join(pairs) + b"\xff\xff"


DOCUMENTS = (
    Target("policy", (_POLICY, b"quorum none\n"), (PolicyError,), _read_policy),
    Target("witness-request", _REQUESTS, (FormatError,), lambda data: AddCheckpoint.from_bytes(data).to_bytes()),
    Target("witness-size", (b"0\n", b"17\n"), (FormatError,), lambda data: format_size(parse_size(data))),
    Target("high-water-mark", (_MARK.to_bytes(),), (FormatError,), lambda data: Mark.from_bytes(data).to_bytes()),
    Target("succession", (_SUCCESSION.encode(),), (LogKeyError,), _read_succession),
    Target(
        "log-keys",
        (
            encode_json({"log_keys": keys_to_members(_KEYS)}),
            encode_json({"log_keys": keys_to_members(LogKeys.of(_KEY.verifier))}),
        ),
        (LogKeyError, NoteError, FormatError),
        _read_log_keys,
    ),
    Target("key-entry", (_KEY_BODY,), (LogKeyError,), _read_key_entry),
    Target("state-proof", (_STATE.to_json().encode(),), (ProofError,), _read_state_proof),
    Target(
        "state-proof-verified",
        (_STATE.to_json().encode(),),
        (ProofError, NoteError, StatementError),
        _read_genuine_state_proof,
    ),
    Target(
        "map-bucket",
        (b"", encode_bucket((tag, 7) for tag in _TAGS)),
        (ProofError,),
        lambda data: encode_bucket(decode_bucket(data, _BUCKET)),
    ),
    Target("backup-manifest", (_MANIFEST.to_bytes(),), (FormatError,), _read_manifest),
    Target("backup-rows", (_ROWS, _ROWS[:19] + b"\xff\xff"), (BackupError,), _read_rows),
)
