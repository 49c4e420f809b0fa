"""Who signs a checkpoint: asked for each one, since a log changes its keys while its processes run."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sqlalchemy import Connection

from ledger.note import NoteSigner

Signers = Callable[[Connection, int], Sequence[NoteSigner]]
"""Gives the keys that sign the checkpoint of a size, the older first.

It is asked inside the transaction that writes the head of that size, with its connection: whatever entry names or
retires a key is in that transaction or committed before it, so every process signs with the same keys.
"""


def always(*signers: NoteSigner) -> Signers:
    """Sign with these keys, whatever the size: for a log that never changes its key."""

    def same(_connection: Connection, _size: int) -> Sequence[NoteSigner]:
        return signers

    return same
