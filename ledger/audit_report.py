"""What an audit says: faults with a code, a place and a sentence, and the report that carries them."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

MAX_FAULTS = 100
"""The audit goes on after a fault, but lists no more than these."""


class FaultCode(StrEnum):
    """What can be wrong. The wire names are stable."""

    ENTRY_MISSING = "entry.missing"
    ENTRY_SURPLUS = "entry.surplus"
    ENTRY_CONTENT = "entry.content"
    ENTRY_BODY = "entry.body"
    ENTRY_STATEMENT_KEY = "entry.statement_key"
    ENTRY_TAG = "entry.tag"
    ENTRY_SUBJECT_CHAIN = "entry.subject_chain"
    ENTRY_DUPLICATE = "entry.duplicate"
    TAG_SURPLUS = "tag.surplus"
    ERASURE_UNDONE = "erasure.undone"
    ERASURE_UNLOGGED = "erasure.unlogged"
    TILE_MISSING = "tile.missing"
    TILE_CONTENT = "tile.content"
    TILE_SURPLUS = "tile.surplus"
    HEAD_CHAIN = "head.chain"
    HEAD_ROOT = "head.root"
    CHECKPOINT_SIGNATURE = "checkpoint.signature"
    CHECKPOINT_SIZE = "checkpoint.size"
    CHECKPOINT_ROOT = "checkpoint.root"
    CHECKPOINT_AHEAD = "checkpoint.ahead"
    STORAGE_UNREADABLE = "storage.unreadable"


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong: `where` names the table and the row."""

    code: str
    where: str
    message: str


@dataclass(slots=True)
class AuditReport:
    """What was checked and what was found. `size` and `root` are the head's; counts say how many were checked."""

    mode: str
    size: int = 0
    root: str = ""
    entries: int = 0
    tags: int = 0
    tiles: int = 0
    heads: int = 0
    checkpoints: int = 0
    seconds: float = 0.0
    faults: list[Fault] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Say whether nothing is wrong."""
        return not self.faults

    def add(self, code: str, where: str, message: str) -> None:
        """Note a fault, as long as the list is not full."""
        if len(self.faults) < MAX_FAULTS:
            self.faults.append(Fault(code, where, message))

    def to_members(self) -> dict[str, Any]:
        """Give the report as a JSON object."""
        return {"ok": self.ok, **asdict(self), "seconds": round(self.seconds, 3)}
