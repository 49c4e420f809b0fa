"""How often the public may ask, and guess; and the alarms that say that somebody guesses.

Asking is limited by network address, to bound work. Guessing is limited by what it can win: the answer to a code that
is not confirmed is refused once its address has had its share, while a code that is confirmed is answered always. So
customers who share one address with a guesser (a carrier's NAT) get their verdicts: nobody can tell them apart but by
what they hold, and what they hold is unguessable. Counts are shared by all server processes (`app.core.tallies`)
and cost a request a dictionary entry; alarms are raised beside the requests, never in one.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from threading import Lock

from sqlalchemy.orm import Session

from app.core.alarms import AlarmKind
from app.core.errors import TooMany
from app.core.networks import network_of
from app.core.services import Services
from app.core.tallies import Counted, Tallies, Watcher
from app.verification.alarming import raise_guessing_alarm

WINDOW_SECONDS = 60
REQUESTS = 120
"""Requests of one address of the public in a window, in all processes together."""
GUESS_WINDOW_SECONDS = 15 * 60
GUESSES = 60
"""Codes that are not confirmed, from one address of the public in a guess window, before it is turned away."""
ALARM_OF_ADDRESS = 200
"""Different codes that are not confirmed, from one address in a guess window, that raise an alarm."""
ALARM_OF_BATCH = 100
"""Different serials with the handle of one batch that are not confirmed, from all addresses."""
ALARM_OF_PRODUCT = 300
"""Different serials of one product number that are not confirmed, from all addresses."""
ALARM_EVERYWHERE = 1_000
"""Different codes that are not confirmed, from all addresses: well above misreadings in a registry's daily trade."""
MAX_SEEN = 100_000
"""Codes whose repetition a process notices: a printed copy that many scan is one code, not many guesses."""

_THRESHOLDS = {
    "address": (AlarmKind.GUESSING_ADDRESS, ALARM_OF_ADDRESS),
    "batch": (AlarmKind.GUESSING_BATCH, ALARM_OF_BATCH),
    "product": (AlarmKind.GUESSING_PRODUCT, ALARM_OF_PRODUCT),
    "everywhere": (AlarmKind.GUESSING_EVERYWHERE, ALARM_EVERYWHERE),
}


@dataclass(frozen=True, slots=True)
class Guess:
    """A code that was not confirmed: from where, and what it says it is; empty where it says nothing."""

    address: str
    code_digest: bytes
    handle: str = ""
    product: str = ""


@dataclass(slots=True)
class _Limits:
    requests: Tallies
    misses: Tallies
    different: Tallies
    seen: set[bytes] = field(default_factory=set)
    lock: Lock = field(default_factory=Lock)

    def is_new(self, digest: bytes) -> bool:
        with self.lock:
            if len(self.seen) >= MAX_SEEN:
                self.seen.clear()
            known = digest in self.seen
            self.seen.add(digest)
        return not known


def refuse_flood(services: Services, address: str | None) -> None:
    """Count a request of the public; raises TooMany."""
    if not services.settings.rate_limits:
        return
    if _limits(services).requests.add(network_of(address)) > REQUESTS:
        raise TooMany(
            "There were too many requests from your address. Wait a minute.",
            code="too_many_requests",
            retry_after=WINDOW_SECONDS,
        )


def count_guess(services: Services, guess: Guess) -> None:
    """Count a code of the public that was not confirmed; raises TooMany instead of the answer when it is one too many.

    Whether a code was issued plays no part: two codes that are not confirmed are counted alike.
    """
    if not services.settings.rate_limits:
        return
    limits, network = _limits(services), network_of(guess.address)
    misses = limits.misses.add(network)
    if limits.is_new(guess.code_digest):
        subjects = [f"address {network}", "everywhere "]
        subjects += [f"batch {guess.handle}"] if guess.handle else []
        subjects += [f"product {guess.product}"] if guess.product else []
        limits.different.add(*subjects)
    if misses > GUESSES:
        raise TooMany(
            "There were too many codes from your address that this registry does not confirm. Wait 15 minutes; codes "
            "that it can confirm are answered all the same.",
            code="too_many_attempts",
            retry_after=GUESS_WINDOW_SECONDS,
        )


def carry_counts(services: Services) -> None:
    """Share at once what was counted, and raise the alarms that are due: what else happens within a second."""
    limits = _limits(services)
    for tallies in (limits.requests, limits.misses, limits.different):
        tallies.carry()


def close_limits(services: Services) -> None:
    """Wait for what is under way; for the end of a process or a test."""
    limits: _Limits | None = services.features.pop(_Limits, None)
    if limits is not None:
        for tallies in (limits.requests, limits.misses, limits.different):
            tallies.close()


def _limits(services: Services) -> _Limits:
    limits: _Limits | None = services.features.get(_Limits)
    if limits is None:
        guess_ms = GUESS_WINDOW_SECONDS * 1000
        made = _Limits(
            requests=Tallies(services, "requests of the public", window_ms=WINDOW_SECONDS * 1000),
            misses=Tallies(services, "guesses", window_ms=guess_ms),
            different=Tallies(services, "different guesses", window_ms=guess_ms, watcher=_watcher(services)),
        )
        limits = services.features.setdefault(_Limits, made)
    return limits


def _watcher(services: Services) -> Watcher:
    def watch(session: Session, counted: Sequence[Counted]) -> None:
        for one in counted:
            what, _, name = one.subject.partition(" ")
            kind, threshold = _THRESHOLDS[what]
            if one.total < threshold:
                continue
            if kind is AlarmKind.GUESSING_ADDRESS:
                name = one.mark[:6].hex()  # enough to see that it is one and the same for a day; not where it is
            raise_guessing_alarm(session, services, kind, subject=name, amount=one.total)

    return watch
