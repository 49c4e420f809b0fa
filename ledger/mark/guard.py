"""The high-water mark as the log uses it: asked before a group is written, moved before it is acknowledged."""

from __future__ import annotations

from collections.abc import Callable

from ledger.errors import LogUnavailable
from ledger.mark.high_water import Finding, HighWaterMark


class MarkGuard:
    """Stands between a log and its high-water mark; lets everything pass for a log that has none (mark is None).

    `root_at(size)` computes the root of the log's first `size` entries, of which there are at least so many.
    """

    def __init__(self, mark: HighWaterMark | None, root_at: Callable[[int], bytes]) -> None:
        self._mark = mark
        self._root_at = root_at
        self._failed = False
        self._shown = 0
        """Size of the largest published checkpoint that was noted."""

    def look(self, head: Callable[[], tuple[int, bytes]]) -> Finding | None:
        """Compare mark and log now, beginning a mark for an empty log; None without a mark. Raises OSError."""
        return None if self._mark is None else self._mark.check(head, self._root_at)

    def begin(self, size: int, root: bytes) -> None:
        """Refuse to extend a log in this state, whose head the caller has locked, when the mark contradicts it.

        Raises LogReadOnly; LogUnavailable while the mark can not be written.
        """
        if self._mark is None:
            return
        self._mark.require(size, root, self._root_at)
        if self._failed:
            # Entries were committed that nobody could be told of. No more of them before the mark can be written.
            self.acknowledge(size, root)

    def acknowledge(self, size: int, root: bytes) -> None:
        """Return when the disk knows that this committed state is acknowledged; LogUnavailable when it must not be."""
        if self._mark is None:
            return
        self._failed = True
        self._mark.advance(size, root)
        self._failed = False

    def show(self, size: int, root: bytes) -> None:
        """Note, as far as that is possible, that a published checkpoint leaves this process.

        A mark that is missing or can not be written stops the log from growing, not those who ask it: what they are
        shown is in the database.
        """
        if self._mark is not None and size > self._shown:
            try:
                self._mark.advance(size, root)
                self._shown = size
            except LogUnavailable:
                self._failed = True
