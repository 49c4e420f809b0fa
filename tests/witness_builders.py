"""Witnesses and policies for tests: keys that are the same on every run, a witness in memory of a folder of its own."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

from ledger import merkle
from ledger.checkpoint import Checkpoint, sign_checkpoint
from ledger.cosignature import ED25519_COSIGNATURE, CosignatureSigner
from ledger.errors import TransportError
from ledger.note import Note, parse_note
from ledger.witness.application import WitnessApplication
from ledger.witness.cosigner import Answer, Cosigner
from ledger.witness.protocol import AddCheckpoint
from ledger.witness.state import NEVER, Latest, WitnessState
from ledger.witnessing.policy import Group, LogVerifier, Policy, Witness
from ledger.witnessing.transport import HttpTransport
from tests.small_log import ORIGIN, signer

NOW = 1_700_000_000
START_SECONDS = 60.0


def cosigner_key(name: str, signature_type: int = ED25519_COSIGNATURE) -> CosignatureSigner:
    """The same key for the same name, on every run."""
    seed = sha256(name.encode()).digest()
    if signature_type == ED25519_COSIGNATURE:
        return CosignatureSigner(name, Ed25519PrivateKey.from_private_bytes(seed), clock=lambda: NOW)
    return CosignatureSigner(name, MLDSA44PrivateKey.from_seed_bytes(seed), clock=lambda: NOW)


def policy_of(keys: Sequence[CosignatureSigner], threshold: int, urls: Sequence[str] = ()) -> Policy:
    """A policy of witnesses w0, w1, ... of which `threshold` make the quorum."""
    addresses = [*urls, *[None] * (len(keys) - len(urls))]
    witnesses = tuple(
        Witness(f"w{at}", key.verifier, url) for at, (key, url) in enumerate(zip(keys, addresses, strict=True))
    )
    group = Group("enough", threshold, tuple(witness.name for witness in witnesses))
    return Policy("enough", (), witnesses, (group,))


def cosigned(note_text: str, *keys: CosignatureSigner) -> str:
    """The note with a cosignature of each key."""
    note = parse_note(note_text)
    return Note(note.text, (*note.signatures, *(key.sign(note.text) for key in keys))).to_text()


def leaf_hashes(size: int, history: str = "") -> list[bytes]:
    """Leaf hashes of a tree; another `history` has other leaves from the fourth on."""
    return [merkle.leaf_hash(f"{history if at > 2 else ''}{at}".encode()) for at in range(size)]


def checkpoint_note(size: int, history: str = "", *, origin: str = ORIGIN) -> str:
    """A checkpoint of one history, signed with the log's key."""
    root = merkle.root(leaf_hashes(size, history))
    return sign_checkpoint(Checkpoint(origin, size, root), signer(origin)).note_text


def request_for(old_size: int, size: int, history: str = "") -> bytes:
    """A sound request of a log with one history."""
    path = merkle.consistency_path(leaf_hashes(size, history), old_size)
    return AddCheckpoint(old_size, tuple(path), checkpoint_note(size, history)).to_bytes()


def make_cosigner(
    folder: Path,
    *,
    keys: Sequence[CosignatureSigner] = (),
    logs: Sequence[LogVerifier] = (),
    clock: Callable[[], float] = lambda: NOW,
) -> Cosigner:
    """A witness whose state lies in `folder`."""
    path = folder / "witness.db"
    if not path.exists():
        WitnessState.create(path)
    signers = keys or [cosigner_key("witness.example/w1")]
    return Cosigner(signers, logs or [signer().verifier], WitnessState(path), clock=clock)


def told(answer: Answer) -> tuple[int, str]:
    """Status and body of an answer, for comparisons."""
    return answer.status, answer.body.decode()


class _Quiet(WSGIRequestHandler):
    def log_message(self, *_args: Any) -> None:
        pass


@contextmanager
def served_witness(cosigner: Cosigner, port: int = 0) -> Iterator[str]:
    """A witness over HTTP in this process; gives its submission prefix."""
    server = make_server("127.0.0.1", port, WitnessApplication(cosigner, prefix="/w"), handler_class=_Quiet)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/w"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def wait_for_witness(port: int, process: subprocess.Popen[bytes]) -> None:
    """Return when the witness answers; fails when its process ends or takes too long."""
    end, transport = time.monotonic() + START_SECONDS, HttpTransport()
    while process.poll() is None and time.monotonic() < end:
        with suppress(TransportError):
            assert transport.get(f"http://127.0.0.1:{port}/").status == 200
            transport.close()
            return
        time.sleep(0.05)
    raise AssertionError(f"the witness did not start: {process.returncode}")


def latest(cosigner: Cosigner, origin: str = ORIGIN) -> Latest:
    """What the witness cosigned last for a log."""
    return cosigner.state.all_latest().get(origin, NEVER)
