"""Clone risk, first form: what the unit's state, its earlier scans and the code itself say about a copy. Pure.

Each rule gives a piece of evidence with a weight; the score is 1 - prod(1 - w) over independent groups, taking the
strongest piece of a group. Another rule is one more function in `RULES`, never another door.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import prod

from app.facts.lifecycle import UnitState
from app.facts.scans import Scan
from app.verification.verdict import Reason, Risk, Status

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
THRESHOLDS = ((0.80, Risk.SUSPECT), (0.50, Risk.REVIEW), (0.30, Risk.NOTE))
MANY_DEVICES = 5
PUBLIC = "public"
"""The role of a scan that nobody of the trade made."""
DIFFERENCES = frozenset({Reason.LOT_DIFFERS, Reason.EXPIRY_DIFFERS})
"""What speaks against the code in the hand and not against the unit: it weighs in this answer only."""

_ENDED = frozenset({Status.SOLD, Status.DISPENSED, Status.DESTROYED})
_REMARKABLE = _ENDED | {Status.NOT_ACTIVATED}
_SELLING = frozenset({"sell", "dispense"})
_EXPLAINED_AFTER_SALE = frozenset({"return", "inspect"})
"""Actions that are as they should be after a sale; an inspection counts only if the goods are on offer again."""


class Group(StrEnum):
    """Evidence of one group speaks of the same thing: only its strongest piece counts."""

    STATE = "state"
    SPREAD = "spread"
    CODE = "code"


@dataclass(frozen=True, slots=True)
class Evidence:
    """One line of the explanation."""

    reason: Reason
    group: Group
    weight: float
    consumer_only: bool = False


@dataclass(frozen=True, slots=True)
class Situation:
    """What the rules look at. `scan` is the one being answered; `earlier` are others of the unit, newest first.

    recorded: whether `scan` is stored. Somebody who only looks, or a link preview that does, is no evidence.
    replayed: whether it was stored before, so that the state may hold its own act already. differences: what the code
    states that is not what was registered, of `DIFFERENCES`.
    """

    state: UnitState
    scan: Scan
    earlier: Sequence[Scan]
    on_offer: bool = False
    recorded: bool = True
    replayed: bool = False
    differences: tuple[Reason, ...] = ()

    @property
    def professional(self) -> bool:
        """Whether somebody with a role in the trade made this scan."""
        return self.scan.organisation_id is not None

    @property
    def scans(self) -> list[Scan]:
        """All recorded scans of the unit that are known here."""
        return [self.scan, *self.earlier] if self.recorded else list(self.earlier)


@dataclass(frozen=True, slots=True)
class RiskFinding:
    """The risk, its score between 0 and 1, and the evidence line by line, strongest first."""

    risk: Risk
    score: float
    evidence: tuple[Evidence, ...]


NO_RISK = RiskFinding(Risk.NONE, 0.0, ())

Rule = Callable[[Situation], Evidence | None]


def assess(situation: Situation) -> RiskFinding:
    """Weigh all rules."""
    if _is_plain(situation):
        return NO_RISK
    lines = [line for rule in RULES if (line := rule(situation)) is not None]
    if not lines:
        return NO_RISK
    lines.sort(key=lambda line: -line.weight)
    strongest: dict[Group, float] = {}
    for line in lines:
        strongest.setdefault(line.group, line.weight)
    score = 1 - prod(1 - weight for weight in strongest.values())
    risk = next((risk for threshold, risk in THRESHOLDS if score >= threshold), Risk.NONE)
    if risk is Risk.SUSPECT and all(line.consumer_only for line in lines):
        risk = Risk.REVIEW  # anybody can scan a public code as often as he likes: that alone must not stop goods
    return RiskFinding(risk, score, tuple(lines))


def _is_plain(situation: Situation) -> bool:
    """Tell cheaply that no rule can apply, as for nearly every scan (a test compares it with the rules themselves)."""
    state = situation.state
    return (
        len(situation.earlier) < MANY_DEVICES - 1
        and not state.sales
        and not situation.differences
        and state.statuses.isdisjoint(_REMARKABLE)
    )


def after_terminal_state(situation: Situation) -> Evidence | None:
    """Find a professional act on a unit whose life in trade had ended, by somebody else, more than an hour later."""
    state, scan = situation.state, situation.scan
    ended_at = state.first_sold_at if state.first_sold_at is not None else state.changed_at
    if not situation.professional or not state.statuses & _ENDED or scan.organisation_id == state.first_sold_by:
        return None
    if scan.scanned_at - ended_at <= HOUR_MS:
        return None
    if scan.action in _SELLING:
        return Evidence(Reason.SOLD_ELSEWHERE, Group.STATE, 0.95)
    if scan.action in _EXPLAINED_AFTER_SALE and not (scan.action == "inspect" and situation.on_offer):
        return None
    return Evidence(Reason.SEEN_AFTER_SALE, Group.STATE, 0.85)


def second_sale_by_same_actor(situation: Situation) -> Evidence | None:
    """Find that the same organisation sells a unit again: a slip within a day, odd later."""
    state, scan = situation.state, situation.scan
    if scan.action not in _SELLING or state.first_sold_at is None or scan.organisation_id != state.first_sold_by:
        return None
    if situation.replayed and state.sales < 2:
        return None  # the one sale on record is this one, sent again
    if abs(scan.scanned_at - state.first_sold_at) < DAY_MS:
        return Evidence(Reason.SOLD_TWICE, Group.STATE, 0.05)
    return Evidence(Reason.SOLD_TWICE, Group.STATE, 0.55)


def sold_twice_before(situation: Situation) -> Evidence | None:
    """Find two sales recorded without a return between them; one shop that reports twice is no sign of a copy."""
    if situation.state.sales < 2:
        return None
    sellers = {scan.organisation_id for scan in situation.earlier if scan.action in _SELLING}
    if len(sellers) == 1:
        return None
    return Evidence(Reason.SOLD_TWICE, Group.STATE, 0.85)


def retail_before_activation(situation: Situation) -> Evidence | None:
    """Find that a consumer, or a till, has met a unit that its issuer has not released."""
    if Status.NOT_ACTIVATED not in situation.state.statuses:
        return None
    if situation.scan.action in _SELLING:
        return Evidence(Reason.RETAIL_BEFORE_ACTIVATION, Group.STATE, 0.80)
    if any(scan.role == PUBLIC for scan in situation.scans):
        return Evidence(Reason.RETAIL_BEFORE_ACTIVATION, Group.STATE, 0.80, consumer_only=True)
    return None


def many_devices(situation: Situation) -> Evidence | None:
    """Find that five or more devices have scanned the unit in its life."""
    if len(situation.earlier) + 1 < MANY_DEVICES:
        return None
    devices = {scan.device for scan in situation.scans}
    if len(devices) < MANY_DEVICES:
        return None
    weight = min(0.95, 0.30 + 0.12 * (len(devices) - MANY_DEVICES))
    # By the role, not the organisation: that one goes when a scan is redacted.
    trade = any(scan.role != PUBLIC for scan in situation.earlier) and situation.professional
    return Evidence(Reason.MANY_DEVICES, Group.SPREAD, weight, consumer_only=not trade)


def other_lot(situation: Situation) -> Evidence | None:
    """Find that the code states another lot than was registered: somebody has written that code anew."""
    return _difference(situation, Reason.LOT_DIFFERS)


def other_expiry(situation: Situation) -> Evidence | None:
    """Find that the code states another expiry date than was registered."""
    return _difference(situation, Reason.EXPIRY_DIFFERS)


def _difference(situation: Situation, reason: Reason) -> Evidence | None:
    if reason not in situation.differences:
        return None
    return Evidence(reason, Group.CODE, 0.60, consumer_only=not situation.professional)


RULES: tuple[Rule, ...] = (
    after_terminal_state,
    second_sale_by_same_actor,
    sold_twice_before,
    retail_before_activation,
    many_devices,
    other_lot,
    other_expiry,
)
