"""Scans that this device signs: numbered and kept first, handed in, and kept until the registry has answered."""

import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from scanners.client import Item, Registry
from scanners.device import ThisDevice
from scanners.log_memory import LogMemory
from scanners.scan_queue import ScanQueue, WaitingScan
from scanners.signed_scans import ScanPlace, ScanStatement

NOT_TAKEN = frozenset({"device_statement", "device_clock", "device_sequence", "device_of_another", "statement_differs"})
"""Refusals of a signed scan itself: the registry did not take it and never will. All others are about its code."""

SENT_AT_ONCE = 250
"""Signed scans of one request: about half a megabyte."""
ELSEWHERE: Item = {
    "error": {
        "code": "handed_in_elsewhere",
        "message": "Another process of this device has handed this scan in, and got its answer.",
    }
}

Saw = Callable[[str], str | None]
"""Gives what the operator was shown for a code, when there was no connection."""


@dataclass(frozen=True)
class SigningDevice:
    """A device at work. memory: what it remembers of the ledger, None for nothing."""

    device: ThisDevice
    queue: ScanQueue
    memory: LogMemory | None = None
    place: ScanPlace | None = None
    clock: Callable[[], float] = time.time

    @cached_property
    def _registry(self) -> Registry:
        return self.device.registry(self.memory, clock=self.clock)

    def sign(self, codes: Sequence[str], *, offline: bool = False, saw: Saw = lambda _code: None) -> list[WaitingScan]:
        """Sign a scan of each code and keep it. Raises DeviceRefusal, StatementError."""

        def sign_one(code: str, seq: int) -> str:
            statement = ScanStatement(
                code=code,
                action="check",
                scanned_at=int(self.clock() * 1000),
                key=secrets.token_hex(12),
                seq=seq,
                place=self.place,
                operator_saw=saw(code),
                offline=offline,
            )
            return statement.sign(self.device.key, self.device.id)

        return self.queue.sign_all(codes, sign_one)

    def verify(self, codes: Sequence[str]) -> Iterator[Item]:
        """Sign a scan of each code and hand them in, after what waits already; gives one item a code, in order.

        Raises ConnectionFailed and what a memory raises; the scans are signed and wait then.
        """
        signed = self.sign(codes)
        answers = self.send()
        yield from (answers.get(scan.seq, ELSEWHERE) for scan in signed)

    def send(self) -> dict[int, Item]:
        """Hand in all that waits, oldest first; gives the registry's item for each number."""
        answers: dict[int, Item] = {}
        while waiting := self.queue.waiting(SENT_AT_ONCE):
            items = self._registry.verify_signed([scan.code for scan in waiting], [scan.statement for scan in waiting])
            taken, refused = [], []
            for scan, item in zip(waiting, items, strict=True):
                error = item.get("error") or {}
                answers[scan.seq] = item
                if error.get("code") in NOT_TAKEN:
                    refused.append((scan.seq, f"{error['code']}: {error['message']}"))
                else:
                    taken.append(scan.seq)
            # A crash before this line hands them in once more, which the registry knows for a retry.
            self.queue.settle(taken, refused)
        return answers
