"""What an audit says: faults with a code, a place and a sentence, and the report that carries them."""

from __future__ import annotations

from collections.abc import Callable
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
    CHECKPOINT_KEY = "checkpoint.key"
    CHECKPOINT_SIZE = "checkpoint.size"
    CHECKPOINT_ROOT = "checkpoint.root"
    CHECKPOINT_AHEAD = "checkpoint.ahead"
    KEY_HISTORY = "key.history"
    MAP_HEAD = "map.head"
    MAP_ROOT = "map.root"
    MAP_TILE = "map.tile"
    LOG_FROZEN = "log.frozen"
    GUARD_MISSING = "guard.missing"
    ALARMS_GAP = "alarms.gap"
    AUDITS_GAP = "audits.gap"
    STORAGE_UNREADABLE = "storage.unreadable"


@dataclass(frozen=True, slots=True)
class AuditScope:
    """What an audit looks at, for the checks that a product adds.

    size: entries of the log. since: the first entry that is looked at; 0 means that all are. chosen: the indexes of the
    only entries that are, ascending; None unless they were drawn by lot. told: is called with the entries that a check
    has just gone through.
    """

    size: int
    since: int = 0
    chosen: tuple[int, ...] | None = None
    told: Callable[[int], None] = field(default=lambda _entries: None, compare=False, repr=False)

    @property
    def entries(self) -> int:
        """How many entries are looked at."""
        return self.size - self.since if self.chosen is None else len(self.chosen)

    @property
    def whole(self) -> bool:
        """Whether everything is looked at."""
        return self.since == 0 and self.chosen is None


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
    map_heads: int = 0
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
