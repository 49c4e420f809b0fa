"""Runs a witness as a server of its own: one process that answers, and one that watches over it."""

from __future__ import annotations

import ctypes
import signal
import socket
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from ledger.errors import WitnessError
from ledger.witness.application import WitnessApplication
from ledger.witness.cosigner import Cosigner
from ledger.witness.keeping import open_folder
from ledger.witnessing.policy import read_log_verifier

THREADS = 4
_STOP_SECONDS = 5
_PR_SET_PDEATHSIG = 1


def make_application(folder: Path, logs: Sequence[str], prefix: str) -> WitnessApplication:
    """Open a witness that exists, for logs by their verifier keys. Raises WitnessError or NoteError."""
    opened = open_folder(folder)
    return WitnessApplication(
        Cosigner(opened.signers, [read_log_verifier(log) for log in logs], opened.state), prefix=prefix
    )


def check_address(host: str, port: int) -> None:
    """Raise WitnessError when the address cannot be listened on: the server would share it with another's."""
    try:
        socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET).close()
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise WitnessError(f"{host}:{port} cannot be listened on: {reason}") from None


def serve(folder: Path, logs: Sequence[str], *, host: str, port: int, prefix: str) -> None:
    """Serve until SIGINT or SIGTERM."""
    # Only who serves needs the server: the other commands and the tests of the judgement do without.
    from granian import Granian  # noqa: PLC0415
    from granian.constants import Interfaces  # noqa: PLC0415
    from granian.log import LogLevels  # noqa: PLC0415

    Granian(
        "ledger.witness.serving",
        interface=Interfaces.WSGI,
        address=host,
        port=port,
        workers=1,
        blocking_threads=THREADS,
        log_level=LogLevels.warning,
        log_access=False,
        respawn_failed_workers=True,
        workers_kill_timeout=_STOP_SECONDS,
    ).serve(target_loader=partial(_load, folder, tuple(logs), prefix), wrap_loader=False)


def _load(folder: Path, logs: tuple[str, ...], prefix: str) -> WitnessApplication:
    """Open the witness inside the answering process, which ends with the one that watches over it (Linux only)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    return make_application(folder, logs, prefix)
