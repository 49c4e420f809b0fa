"""A small log and a batch in memory, made with the pure modules only: what proofs are tested on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ledger import merkle, tiles
from ledger.checkpoint import Checkpoint, SignedCheckpoint, sign_checkpoint
from ledger.leaf import FIRST_PREV, Body, Leaf, SaltedLeaves, commitment, subject_tag
from ledger.note import NoteSigner
from ledger.proof import BatchEntry, UnitProof, format_proof
from ledger.statement import STATEMENT_TYPE, sign_statement
from ledger.strict import encode_base64

ORIGIN = "log.example/small"


def signer(name: str = ORIGIN) -> NoteSigner:
    """The same key for the same name, on every run."""
    return NoteSigner(name, private_key(name))


def private_key(name: str) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(sha256(name.encode()).digest())


class TileStore:
    """Tiles of one tree in a dictionary; serves any width that a tile once had."""

    def __init__(self, height: int, leaf_hashes: list[bytes]) -> None:
        builder = tiles.TileBuilder(height)
        builder.extend(leaf_hashes)
        self.height = height
        self.size = builder.size
        self.root = builder.root()
        self.tiles = {(tile.level, tile.index): tile.data for tile in builder.take_full() + builder.finish()}

    def read(self, level: int, index: int, width: int) -> bytes:
        return self.tiles[level, index][: width * merkle.HASH_SIZE]

    def inclusion_path(self, index: int, size: int | None = None) -> list[bytes]:
        return tiles.inclusion_path(self.read, self.height, index, size or self.size)


@dataclass
class SmallLog:
    leaves: list[Leaf] = field(default_factory=list)

    def append(self, content: bytes, tags: tuple[bytes, ...] | None = None) -> Leaf:
        """Append a leaf with a ready commitment; without tags it is the next entry about one and the same subject."""
        prev = self.leaves[-1].hash() if self.leaves else FIRST_PREV
        self.leaves.append(Leaf(prev, content, tags or (subject_tag(b"\x06" * 32, len(self.leaves)),)))
        return self.leaves[-1]

    def hashes(self) -> list[bytes]:
        return [leaf.hash() for leaf in self.leaves]

    def checkpoint(self, size: int | None = None) -> SignedCheckpoint:
        hashes = self.hashes()[:size]
        return sign_checkpoint(Checkpoint(ORIGIN, len(hashes), merkle.root(hashes)), signer())

    def prove(self, index: int, extra: bytes | None = None) -> str:
        path = TileStore(tiles.LOG_HEIGHT, self.hashes()).inclusion_path(index)
        return format_proof(index, path, self.checkpoint().note_text, extra)


def log_of(size: int) -> SmallLog:
    log = SmallLog()
    for index in range(size):
        log.append(sha256(f"commitment {index}".encode()).digest())
    return log


def unit_content(position: int) -> bytes:
    return f"signed bytes of unit {position}".encode()


ISSUER_KEY_ID = "issuer-1"


def issuer_key() -> Ed25519PrivateKey:
    return private_key("issuer")


def unit_proof(
    *,
    units: int = 50,
    position: int = 17,
    before: int = 5,
    after: int = 3,
    stated: Mapping[str, Any] | None = None,
    typ: str = STATEMENT_TYPE,
    body_key_id: str = ISSUER_KEY_ID,
) -> UnitProof:
    """The proof of one unit of a batch, whose statement is leaf `before` of a log of before + 1 + after leaves.

    `stated`, `typ` and `body_key_id` let the log hold an entry that is no sound batch, rightly signed and proved.
    """
    salted = SaltedLeaves(b"\x07" * 32)
    batch = TileStore(tiles.BATCH_HEIGHT, [salted.hash(at, unit_content(at)) for at in range(units)])
    payload = {"handle": "7K2QX", "root": encode_base64(batch.root), "size": units, **(stated or {})}
    statement = sign_statement(payload, private_key=issuer_key(), key_id=ISSUER_KEY_ID, typ=typ)
    body = Body("batch", ((b"\x05" * 32, 0), (b"\x07" * 32, 2)), statement, body_key_id)
    entry = BatchEntry(b"\x09" * 32, body.to_bytes())
    log = log_of(before)
    leaf = log.append(commitment(entry.salt, entry.body), body.tags())
    for index in range(after):
        log.append(sha256(f"later {index}".encode()).digest())
    return UnitProof(
        position=position,
        batch_size=units,
        batch_path=tuple(batch.inclusion_path(position)),
        unit_salt=salted.salt(position),
        batch_entry=entry,
        prev=leaf.prev,
        leaf_proof=log.prove(before),
    )
