"""What a professional does with a unit in the hand, and which event each of these acts states."""

from enum import StrEnum

from app.facts.vocabulary import EventKind


class Action(StrEnum):
    """An act that goes with a scan; `check` and `inspect` only look."""

    CHECK = "check"
    INSPECT = "inspect"
    ACTIVATE = "activate"
    SELL = "sell"
    DISPENSE = "dispense"
    RETURN = "return"
    EXPORT = "export"
    SAMPLE = "sample"
    DESTROY = "destroy"
    RECALL = "recall"
    LIFT_RECALL = "lift_recall"
    REPORT_STOLEN = "report_stolen"
    LOCK = "lock"
    UNLOCK = "unlock"
    HOLD = "hold"
    SEIZE = "seize"
    RELEASE = "release"


EVENT_OF: dict[Action, EventKind] = {
    Action.ACTIVATE: EventKind.ACTIVATED,
    Action.SELL: EventKind.SOLD,
    Action.DISPENSE: EventKind.DISPENSED,
    Action.RETURN: EventKind.RETURNED,
    Action.EXPORT: EventKind.EXPORTED,
    Action.SAMPLE: EventKind.SAMPLED,
    Action.DESTROY: EventKind.DESTROYED,
    Action.RECALL: EventKind.RECALLED,
    Action.LIFT_RECALL: EventKind.RECALL_LIFTED,
    Action.REPORT_STOLEN: EventKind.STOLEN,
    Action.LOCK: EventKind.LOCKED,
    Action.UNLOCK: EventKind.UNLOCKED,
    Action.HOLD: EventKind.HELD,
    Action.SEIZE: EventKind.SEIZED,
    Action.RELEASE: EventKind.RELEASED,
}
"""Acts that change something; the others are scans and nothing else."""

REFUSED_ON_STOP = frozenset({Action.SELL, Action.DISPENSE, Action.ACTIVATE, Action.EXPORT})
"""Acts that put goods into trade: not recorded when the unit is recalled, stolen, locked, held, seized or expired."""
