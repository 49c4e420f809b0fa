"""How many entries there are about a subject, found by their tags.

The tags of a subject are numbered without a gap, so the first number without a tag is the count. It is searched by
doubling, then by halving: a subject with 10,000 entries takes 26 look-ups, one whose count was remembered takes two.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from ledger.leaf import subject_tag

FindTags = Callable[[Sequence[bytes]], Mapping[bytes, int]]
"""Gives the entry of each of these tags that exists."""


@dataclass(frozen=True, slots=True)
class Found:
    """How many entries there are about a subject, and under which entry the last of their tags is filed."""

    count: int
    last: int | None


MAX_REMEMBERED = 100_000
"""Subjects whose count a process remembers, about 200 bytes each."""


class Counts:
    """Counts remembered from earlier look-ups. They may be wrong, for other processes append too: they only help."""

    def __init__(self) -> None:
        self._counts: dict[bytes, int] = {}

    def remember(self, counts: Mapping[bytes, int]) -> None:
        """Remember the counts of these subjects; forget all others once there are too many."""
        if len(self._counts) + len(counts) > MAX_REMEMBERED:
            self._counts.clear()
        self._counts.update(counts)

    def look_up(self, subjects: Iterable[bytes], find: FindTags) -> dict[bytes, Found]:
        """Give for each subject (32 bytes) how many entries there are about it, and the last."""
        searches = [_Search(subject, self._counts.get(subject, 0)) for subject in set(subjects)]
        found = {}
        while searches:
            asked = [[(number, subject_tag(search.subject, number)) for number in search.ask()] for search in searches]
            there = find([tag for pairs in asked for _, tag in pairs])
            for search, pairs in zip(searches, asked, strict=True):
                for number, tag in pairs:
                    search.learn(number, there.get(tag))
            found.update({search.subject: Found(search.present, search.last) for search in searches if search.done})
            searches = [search for search in searches if not search.done]
        return found


class _Search:
    """The search for one count: tags below `present` exist, the tag `absent` does not."""

    __slots__ = ("_expected", "_step", "absent", "last", "present", "subject")

    def __init__(self, subject: bytes, expected: int) -> None:
        self.subject = subject
        self.present = 0
        self.last: int | None = None
        self.absent: int | None = None
        self._expected: int | None = expected
        self._step = 1

    @property
    def done(self) -> bool:
        return self.present == self.absent

    def ask(self) -> tuple[int, ...]:
        """Give the numbers to look up next."""
        if self._expected is not None:
            expected, self._expected = self._expected, None
            return (expected - 1, expected) if expected else (0,)
        if self.absent is None:
            self._step *= 2
            return (self.present + self._step - 1,)
        return ((self.present + self.absent) // 2,)

    def learn(self, number: int, entry: int | None) -> None:
        if entry is not None:
            if number >= self.present:
                self.present, self.last = number + 1, entry
        elif self.absent is None or number < self.absent:
            self.absent = number
