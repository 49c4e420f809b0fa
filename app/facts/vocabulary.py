"""Words for what happens to units: statuses, kinds of event, and one table that says what each kind means.

`EVENT_RULES` maps every kind to GS1's Core Business Vocabulary 2.0 (or to a URI of our own where CBV has no word), to
the status it gives and those it takes away, and to who may state it.
"""

from dataclasses import dataclass
from enum import StrEnum

from app.core.authorisation import Permission

OWN_VOCABULARY = "https://ns.marchamo.org/cbv/"
"""Prefix of our own business steps and dispositions."""


class Status(StrEnum):
    """One thing that is true of a unit; a unit has a set of them."""

    ACTIVE = "ACTIVE"
    NOT_ACTIVATED = "NOT_ACTIVATED"
    SOLD = "SOLD"
    DISPENSED = "DISPENSED"
    EXPORTED = "EXPORTED"
    RETURNED = "RETURNED"
    SAMPLED = "SAMPLED"
    DESTROYED = "DESTROYED"
    RECALLED = "RECALLED"
    STOLEN = "STOLEN"
    LOCKED = "LOCKED"
    HELD = "HELD"
    SEIZED = "SEIZED"
    EXPIRED = "EXPIRED"  # from the lot's expiry date and today, never from an event
    NOT_KNOWN = "NOT_KNOWN"


class EventKind(StrEnum):
    """What an event states."""

    COMMISSIONED = "commissioned"
    ACTIVATED = "activated"
    SOLD = "sold"
    DISPENSED = "dispensed"
    RETURNED = "returned"
    EXPORTED = "exported"
    SAMPLED = "sampled"
    DESTROYED = "destroyed"
    RECALLED = "recalled"
    RECALL_LIFTED = "recall_lifted"
    STOLEN = "stolen"
    LOCKED = "locked"
    UNLOCKED = "unlocked"
    HELD = "held"
    SEIZED = "seized"
    RELEASED = "released"
    UNDONE = "undone"


class Speaker(StrEnum):
    """Who may state an event, beside holding the permission."""

    ANYBODY = "anybody"  # any professional: the goods are in its hands
    ISSUER = "issuer"  # only the organisation that commissioned the goods
    OWNER = "owner"  # that organisation, or the one in whose name and by whose right it made them
    AUTHORITY = "authority"  # only an approved authority
    SAME_ORGANISATION = "same_organisation"  # only the organisation of the event that is undone


@dataclass(frozen=True, slots=True)
class EventRule:
    """What one kind of event means."""

    permission: Permission
    speaker: Speaker
    gives: Status | None
    takes: frozenset[Status]
    action: str
    business_step: str
    disposition: str
    terminal: bool = False
    whole_batch: bool = True
    undoable: bool = True


def _own(word: str) -> str:
    return OWN_VOCABULARY + word


_OUT_OF_TRADE = frozenset({Status.SOLD, Status.DISPENSED, Status.EXPORTED, Status.SAMPLED})

EVENT_RULES: dict[EventKind, EventRule] = {
    EventKind.COMMISSIONED: EventRule(
        Permission.BATCH_COMMISSION,
        Speaker.ISSUER,
        Status.NOT_ACTIVATED,
        frozenset(),
        "ADD",
        "commissioning",
        "encoded",
        undoable=False,
    ),
    EventKind.ACTIVATED: EventRule(
        Permission.UNIT_ACTIVATE,
        Speaker.ISSUER,
        Status.ACTIVE,
        frozenset({Status.NOT_ACTIVATED}),
        "OBSERVE",
        _own("BizStep-activating"),
        "active",
    ),
    EventKind.SOLD: EventRule(
        Permission.UNIT_SELL,
        Speaker.ANYBODY,
        Status.SOLD,
        frozenset({Status.RETURNED}),
        "OBSERVE",
        "retail_selling",
        "retail_sold",
        terminal=True,
        whole_batch=False,
    ),
    EventKind.DISPENSED: EventRule(
        Permission.UNIT_SELL,
        Speaker.ANYBODY,
        Status.DISPENSED,
        frozenset({Status.RETURNED}),
        "OBSERVE",
        "dispensing",
        "dispensed",
        terminal=True,
        whole_batch=False,
    ),
    EventKind.RETURNED: EventRule(
        Permission.UNIT_SELL,
        Speaker.ANYBODY,
        Status.RETURNED,
        _OUT_OF_TRADE,
        "OBSERVE",
        "receiving",
        "returned",
        whole_batch=False,
    ),
    EventKind.EXPORTED: EventRule(
        Permission.UNIT_ACTIVATE,
        Speaker.ANYBODY,
        Status.EXPORTED,
        frozenset(),
        "OBSERVE",
        _own("BizStep-exporting"),
        "in_transit",
    ),
    EventKind.SAMPLED: EventRule(
        Permission.UNIT_DETAIN,
        Speaker.AUTHORITY,
        Status.SAMPLED,
        frozenset(),
        "OBSERVE",
        "sampling",
        "non_sellable_other",
        whole_batch=False,
    ),
    EventKind.DESTROYED: EventRule(
        Permission.UNIT_SELL,
        Speaker.ANYBODY,
        Status.DESTROYED,
        frozenset({Status.RETURNED}),
        "DELETE",
        "destroying",
        "destroyed",
        terminal=True,
    ),
    EventKind.RECALLED: EventRule(
        Permission.UNIT_RECALL,
        Speaker.OWNER,
        Status.RECALLED,
        frozenset(),
        "OBSERVE",
        "holding",
        "recalled",
    ),
    EventKind.RECALL_LIFTED: EventRule(
        Permission.UNIT_RECALL,
        Speaker.OWNER,
        None,
        frozenset({Status.RECALLED}),
        "OBSERVE",
        _own("BizStep-lifting_recall"),
        "active",
    ),
    EventKind.STOLEN: EventRule(
        Permission.UNIT_RECALL,
        Speaker.OWNER,
        Status.STOLEN,
        frozenset(),
        "OBSERVE",
        _own("BizStep-reporting_theft"),
        "stolen",
    ),
    EventKind.LOCKED: EventRule(
        Permission.UNIT_RECALL,
        Speaker.OWNER,
        Status.LOCKED,
        frozenset(),
        "OBSERVE",
        "holding",
        _own("Disp-locked"),
    ),
    EventKind.UNLOCKED: EventRule(
        Permission.UNIT_RECALL,
        Speaker.OWNER,
        None,
        frozenset({Status.LOCKED, Status.STOLEN}),
        "OBSERVE",
        _own("BizStep-unlocking"),
        "active",
    ),
    EventKind.HELD: EventRule(
        Permission.UNIT_DETAIN,
        Speaker.AUTHORITY,
        Status.HELD,
        frozenset(),
        "OBSERVE",
        "holding",
        _own("Disp-held_by_authority"),
        undoable=False,
    ),
    EventKind.SEIZED: EventRule(
        Permission.UNIT_DETAIN,
        Speaker.AUTHORITY,
        Status.SEIZED,
        frozenset({Status.HELD}),
        "OBSERVE",
        _own("BizStep-seizing"),
        _own("Disp-seized"),
        undoable=False,
    ),
    EventKind.RELEASED: EventRule(
        Permission.UNIT_DETAIN,
        Speaker.AUTHORITY,
        None,
        frozenset({Status.HELD, Status.SEIZED}),
        "OBSERVE",
        _own("BizStep-releasing"),
        "active",
        undoable=False,
    ),
    EventKind.UNDONE: EventRule(
        Permission.UNIT_SELL,
        Speaker.SAME_ORGANISATION,
        None,
        frozenset(),
        "OBSERVE",
        "other",
        "unknown",
        undoable=False,
    ),
}

UNDO_DAYS = 10
"""How long an organisation can take back its own event."""
