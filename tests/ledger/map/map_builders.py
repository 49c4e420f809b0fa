"""A log with a subject map: entries about named subjects, and the key that states the map."""

from __future__ import annotations

from hashlib import sha256
from itertools import count

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from sqlalchemy import Engine

from ledger.log import Log, NewEntry
from ledger.map.keeper import SubjectMap
from ledger.map.state_proof import State, StateProof, verify_state_proof
from ledger.note import NoteVerifier
from ledger.own import OwnKind, StatementSigner
from ledger.strict import encode_base64
from tests.log_builders import Clock

MAP_KEY_ID = "statement-test"


def subject_of(name: str) -> bytes:
    return sha256(name.encode()).digest()


class MappedLog:
    """A log whose entries are about subjects named by words."""

    def __init__(self, log: Log, engine: Engine, clock: Clock) -> None:
        self.log = log
        self.engine = engine
        self.clock = clock
        self.key = Ed25519PrivateKey.generate()
        self.signer = StatementSigner(MAP_KEY_ID, self.key)
        self.map = self.keeper()
        self._numbers = count()

    @property
    def map_keys(self) -> dict[str, Ed25519PublicKey]:
        return {MAP_KEY_ID: self.key.public_key()}

    @property
    def verifier(self) -> NoteVerifier:
        return self.log.verifier

    def keeper(self, signer: StatementSigner | None = None) -> SubjectMap:
        return SubjectMap(self.log, self.engine, signer or self.signer, clock=self.clock)

    def map_entry(self, size: int, root: bytes) -> NewEntry:
        at_ms = int(self.clock() * 1000)
        return self.signer.entry(OwnKind.MAP, {"size": size, "root": encode_base64(root)}, at_ms=at_ms)

    def entry(self, *names: str) -> NewEntry:
        subjects = tuple(sorted(subject_of(name) for name in names))
        return NewEntry("test.event", subjects, b"e30.%06x.c2ln" % next(self._numbers), "key-1")

    def record(self, *names: str) -> int:
        """Record an entry about these subjects; its index."""
        return self.log.append(self.entry(*names)).index

    def record_many(self, names: list[str]) -> None:
        """Record one entry about each."""
        self.log.append_many([self.entry(name) for name in names])

    def publish(self) -> None:
        self.clock.now += 2
        assert self.map.publish() is not None

    def verify(self, proof: StateProof, name: str, *, at_least: int = 0) -> State:
        return verify_state_proof(
            proof, subject=subject_of(name), log_verifier=self.verifier, map_keys=self.map_keys, at_least=at_least
        )
