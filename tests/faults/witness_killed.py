"""A witness that is killed (SIGKILL) while it answers: before its state is committed, or after and before the answer.

    python witness_killed.py FOLDER before|after < request

Run by tests/faults/test_witness_faults.py; prints nothing when it dies as told.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ledger.witness.state import StateWriter, WitnessState
from tests.witness_builders import make_cosigner


def main() -> None:
    folder, moment = Path(sys.argv[1]), sys.argv[2]
    exclusive = WitnessState.exclusive

    @contextmanager
    def killed(state: WitnessState) -> Iterator[StateWriter]:
        with exclusive(state) as writer:
            yield writer
            if moment == "before":
                os.kill(os.getpid(), signal.SIGKILL)
        os.kill(os.getpid(), signal.SIGKILL)

    WitnessState.exclusive = killed  # type: ignore[method-assign, assignment]
    answer = make_cosigner(folder).add_checkpoint(sys.stdin.buffer.read())
    sys.stdout.buffer.write(answer.body)


if __name__ == "__main__":
    main()
