"""The high-water mark as the log uses it: asked before a group is written, moved before it is acknowledged."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

from ledger.edge import Edge
from ledger.errors import EntryNotFound, ForkDetected, LogUnavailable
from ledger.mark.high_water import Finding, HighWaterMark, RootAt
from ledger.storage.interface import LogReader

KNOWN_ROOTS = 256
"""States of the log whose roots are remembered: a mark is nearly always one that was seen a moment ago."""


class MarkGuard:
    """Stands between a log and its high-water mark; lets everything pass for a log that has none (mark is None).

    `reading` opens a read transaction of the log's database, `refresh` reads there how far the log is now.
    """

    def __init__(
        self,
        mark: HighWaterMark | None,
        reading: Callable[[], AbstractContextManager[LogReader]],
        refresh: Callable[[], Edge],
    ) -> None:
        self._mark = mark
        self._reading = reading
        self._refresh = refresh
        self._failed = False
        self._shown = 0
        """Size of the largest published checkpoint that was noted."""
        self._roots: dict[tuple[object, int], bytes] = {}
        """(lineage, size) -> root. Of another lineage nothing is known: that database may be another."""

    def look(self) -> Finding | None:
        """Compare mark and log now, beginning a mark for an empty log; None without a mark. Raises OSError."""
        if self._mark is None:
            return None
        edge = Edge.empty()

        def head() -> tuple[int, bytes]:
            nonlocal edge
            edge = self._refresh()
            return edge.size, edge.root

        return self._mark.check(head, lambda size: self._root_at(edge, size))

    def begin(self, edge: Edge, reader: LogReader) -> None:
        """Refuse to extend a log in this state, the head that `reader` has locked, when the mark contradicts it.

        Raises LogReadOnly; LogUnavailable while the mark can not be written.
        """
        if self._mark is None:
            return
        self._note(edge, edge.size, edge.root)

        def root_at(size: int) -> bytes:
            # In this very transaction: another connection may lead to another database.
            return self._root_at(edge, size, reader)

        self._mark.require(edge.size, edge.root, root_at)
        if self._failed:
            # Entries were committed that nobody could be told of. No more of them before the mark can be written.
            self._advance(self._mark, edge, root_at)

    def acknowledge(self, edge: Edge) -> None:
        """Return when the disk knows that this committed state is acknowledged; LogUnavailable when it must not be."""
        if self._mark is None:
            return
        self._note(edge, edge.size, edge.root)
        self._advance(self._mark, edge, lambda size: self._root_at(edge, size))

    def show(self, edge: Edge, size: int, root: bytes) -> None:
        """Note, as far as that is possible, that a published checkpoint leaves this process, which knows `edge`.

        A mark that is missing, contradicts the log or can not be written stops the log from growing, not those who ask
        it: what they are shown is in the database. ForkDetected when the checkpoint is not of the log's history.
        """
        if self._mark is None or size <= self._shown:
            return
        try:
            fits = self._root_at(edge, size) == root
        except EntryNotFound:
            fits = False
        if not fits:
            raise ForkDetected(f"the published checkpoint of size {size} does not fit the entries")
        try:
            self._mark.advance(size, root, lambda marked: self._root_at(edge, marked))
            self._shown = size
        except LogUnavailable:
            self._failed = True

    def _advance(self, mark: HighWaterMark, edge: Edge, root_at: RootAt) -> None:
        self._failed = True
        mark.advance(edge.size, edge.root, root_at)
        self._failed = False

    def _root_at(self, edge: Edge, size: int, reader: LogReader | None = None) -> bytes:
        """Give the root at a size of the history of `edge`, which may have grown; EntryNotFound beyond its head.

        With `reader`, the transaction in which `edge` is the head, nothing else is read.
        """
        root = self._roots.get((edge.lineage, size))
        if root is None:
            if reader is not None:
                root = edge.root_at(size, reader)
            else:
                with self._reading() as now:
                    later = edge if size <= edge.size else edge.advanced(now, now.head())
                    root = later.root_at(size, now)
            self._note(edge, size, root)
        return root

    def _note(self, edge: Edge, size: int, root: bytes) -> None:
        if len(self._roots) >= KNOWN_ROOTS:
            self._roots = {}  # never changed while another thread might walk through it
        self._roots[edge.lineage, size] = root
