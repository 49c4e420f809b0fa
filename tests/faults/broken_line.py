"""The line between a client and its PostgreSQL server, and a pair of scissors.

A relay on a socket of its own: whatever the client sends is counted in pieces. It can be told to cut the line at one
of them, before the server has it or right after, so that the server does what it was asked and nobody hears of it.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Self

from sqlalchemy import make_url

from tests.faults.server_control import SOCKET

COMMIT = b"COMMIT\x00"
"""In the piece with which a client commits (and not in one about READ COMMITTED)."""


class BrokenLine:
    """Relays connections to the server of `url`; `url` of this object leads through it."""

    def __init__(self, url: str, directory: Path) -> None:
        parsed = make_url(url)
        host = parsed.query["host"]
        assert isinstance(host, str)
        self._server = str(Path(host) / SOCKET)
        self.url = parsed.set(query={"host": str(directory)}).render_as_string(hide_password=False)
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(directory / SOCKET))
        self._listener.listen(64)
        self.cut: Cut | None = None
        self._muted: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def cut_at(self, piece: int, *, delivered: bool) -> Cut:
        """Give a context in which the line is cut once, at the client's `piece`-th piece (from 1), delivered or not."""
        return Cut(self, lambda number, _: number == piece, delivered=delivered)

    def cut_at_commit(self, *, delivered: bool) -> Cut:
        """Give a context in which the line is cut once, at the piece that commits, delivered or not."""
        return Cut(self, lambda _, piece: COMMIT in piece, delivered=delivered)

    def cut_when(self, says: Callable[[bytes], bool], *, then: Callable[[], None]) -> Cut:
        """Give a context in which the line is cut once, after the delivery of a piece of which `says` is true.

        `then` is done before the client notices.
        """
        return Cut(self, lambda _, piece: says(piece), delivered=True, then=then)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(10)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.socket(socket.AF_UNIX)
            try:
                server.connect(self._server)
            except OSError:  # the server is down: the client sees the connection end
                client.close()
                server.close()
                continue
            for source, target, cuts in ((client, server, True), (server, client, False)):
                threading.Thread(target=self._relay, args=(source, target, cuts), daemon=True).start()

    def _relay(self, source: socket.socket, target: socket.socket, cuts: bool) -> None:
        with contextlib.suppress(OSError):
            while piece := source.recv(1 << 20):
                cut = self._cut_of(piece) if cuts else None
                if cut is None:
                    if target not in self._muted:
                        target.sendall(piece)
                    continue
                self._muted.add(source)  # first: no answer may slip through
                if cut.delivered:
                    target.sendall(piece)
                cut.then()
                break
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        if not cuts:
            source.close()
            target.close()

    def _cut_of(self, piece: bytes) -> Cut | None:
        """Give the cut that takes place at this piece, if one does."""
        with self._lock:
            return self.cut if self.cut is not None and self.cut.takes(piece) else None


class Cut:
    """One cut of a line, at the first piece that `chooses` picks; `happened` says whether there was one."""

    def __init__(
        self,
        line: BrokenLine,
        chooses: Callable[[int, bytes], bool],
        *,
        delivered: bool,
        then: Callable[[], None] = lambda: None,
    ) -> None:
        self._line = line
        self.then = then
        self._chooses = chooses
        self._pieces = 0
        self.delivered = delivered
        self.piece = b""
        """What was sent when the line was cut."""

    @property
    def happened(self) -> bool:
        """Whether the line was cut."""
        return bool(self.piece)

    def takes(self, piece: bytes) -> bool:
        """Count a piece and say whether this is the one."""
        self._pieces += 1
        if self.happened or not self._chooses(self._pieces, piece):
            return False
        self.piece = piece
        return True

    def __enter__(self) -> Self:
        self._line.cut = self
        return self

    def __exit__(self, *_: object) -> None:
        self._line.cut = None
