"""What the vocabularies are called on a page, in both languages, and how grave each word is.

A word here never says more than the value behind it: "registered" is not "genuine".
"""

from enum import StrEnum

from flask import Flask
from flask_babel import lazy_gettext as _
from flask_babel import lazy_pgettext as _p
from flask_babel.speaklater import LazyString

from app.core.authorisation import Role
from app.core.jobs import JobState
from app.facts.vocabulary import EventKind, Status
from app.registry.vocabulary import JobKind, Profile, Sector
from app.transparency.service import LedgerState
from app.verification.actions import Action
from app.verification.verdict import Authenticity, Labour, Reason, Risk, Summary
from ledger.alarms import AlarmKind
from ledger.witnessing.client import Result
from ledger.witnessing.policy import Witnessed


class Tone(StrEnum):
    """How grave a word is; the style sheet's class names."""

    GOOD = "good"
    WARN = "warn"
    BAD = "bad"
    INFO = "info"
    CALM = "calm"


SUMMARIES: dict[StrEnum, LazyString] = {
    Summary.PASS: _("No objection"),
    Summary.CHECK: _("Look closer"),
    Summary.STOP: _("Stop"),
}

AUTHENTICITY: dict[StrEnum, LazyString] = {
    Authenticity.REGISTERED: _("Registered with this registry"),
    Authenticity.SIGNATURE_VALID_NOT_CONFIRMED: _("Signed correctly, not compared with the registry"),
    Authenticity.UNKNOWN_UNIT: _("Not known to this registry"),
    Authenticity.INVALID_SIGNATURE: _("The signature does not fit: potential suspected falsification"),
    Authenticity.SIGNATURE_MISSING: _("The signature is missing"),
    Authenticity.KEY_REVOKED: _("The key that signed it had been withdrawn"),
    Authenticity.KEY_EXPIRED: _("The key that signed it had expired"),
    Authenticity.KEY_NOT_ENTITLED: _("Signed by a firm without the right to this product number"),
    Authenticity.FOREIGN_HOST: _("Not a code of this registry: it leads elsewhere"),
    Authenticity.UNREADABLE: _("The code cannot be read"),
    Authenticity.NOT_CHECKED: _("Not checked"),
}

STATUSES: dict[StrEnum, LazyString] = {
    Status.ACTIVE: _("In trade"),
    Status.NOT_ACTIVATED: _("Not yet put into trade"),
    Status.SOLD: _("Sold"),
    Status.DISPENSED: _("Dispensed"),
    Status.EXPORTED: _("Exported"),
    Status.RETURNED: _("Returned"),
    Status.SAMPLED: _("Sample taken"),
    Status.DESTROYED: _("Destroyed"),
    Status.RECALLED: _("Recalled"),
    Status.STOLEN: _("Reported stolen"),
    Status.LOCKED: _("Locked by the maker"),
    Status.HELD: _("Held by an authority"),
    Status.SEIZED: _("Seized by an authority"),
    Status.EXPIRED: _("Past its expiry date"),
    Status.NOT_KNOWN: _("Nothing known"),
}

EVENTS: dict[StrEnum, LazyString] = {
    EventKind.COMMISSIONED: _("Codes made"),
    EventKind.ACTIVATED: _("Put into trade"),
    EventKind.SOLD: _("Sold"),
    EventKind.DISPENSED: _("Dispensed"),
    EventKind.RETURNED: _("Returned"),
    EventKind.EXPORTED: _("Exported"),
    EventKind.SAMPLED: _("Sample taken"),
    EventKind.DESTROYED: _("Destroyed"),
    EventKind.RECALLED: _("Recalled"),
    EventKind.RECALL_LIFTED: _("Recall lifted"),
    EventKind.STOLEN: _("Reported stolen"),
    EventKind.LOCKED: _("Locked by the maker"),
    EventKind.UNLOCKED: _("Unlocked"),
    EventKind.HELD: _("Held by an authority"),
    EventKind.SEIZED: _("Seized by an authority"),
    EventKind.RELEASED: _("Released by the authority"),
    EventKind.UNDONE: _("Taken back"),
}

ACTIONS: dict[StrEnum, LazyString] = {
    Action.CHECK: _p("act", "Check"),
    Action.INSPECT: _p("act", "Inspect"),
    Action.ACTIVATE: _p("act", "Put into trade"),
    Action.SELL: _p("act", "Sell"),
    Action.DISPENSE: _p("act", "Dispense"),
    Action.RETURN: _p("act", "Take back"),
    Action.EXPORT: _p("act", "Export"),
    Action.SAMPLE: _p("act", "Take a sample"),
    Action.DESTROY: _p("act", "Destroy"),
    Action.RECALL: _p("act", "Recall"),
    Action.LIFT_RECALL: _p("act", "Lift the recall"),
    Action.REPORT_STOLEN: _p("act", "Report stolen"),
    Action.LOCK: _p("act", "Lock"),
    Action.UNLOCK: _p("act", "Unlock"),
    Action.HOLD: _p("act", "Hold"),
    Action.SEIZE: _p("act", "Seize"),
    Action.RELEASE: _p("act", "Release"),
}

RISKS: dict[StrEnum, LazyString] = {
    Risk.NONE: _("No sign of a copy in what was scanned so far"),
    Risk.NOTE: _("A small oddity in the scans"),
    Risk.REVIEW: _("Signs that do not fit together: have it looked at"),
    Risk.SUSPECT: _("Strong signs of a copy: potential suspected falsification"),
}

LABOUR: dict[StrEnum, LazyString] = {
    Labour.NO_ADVERSE_FINDING: _("No adverse finding in the lists that were searched"),
    Labour.INCOMPLETE: _("Incomplete: some origins are not declared"),
    Labour.REVIEW: _("To be reviewed"),
    Labour.HOLD: _("Hold"),
    Labour.PROHIBITED: _("Prohibited"),
}

REASONS: dict[StrEnum, LazyString] = {
    Reason.SIGNATURE_VALID: _("The signature in the code is valid."),
    Reason.SERIAL_CONFIRMED: _("The serial number is one that the registry issued."),
    Reason.SIGNATURE_DOES_NOT_FIT: _("The signature does not fit the rest of the code."),
    Reason.SIGNATURE_ABSENT: _("The code carries no signature."),
    Reason.SIGNATURE_KEY_UNKNOWN: _("The signature names a key that this registry does not know."),
    Reason.SIGNED_BY_ANOTHER_KEY: _("The code was signed with another key than the one recorded for its batch."),
    Reason.UNIT_NOT_REGISTERED: _("No unit with this number is registered."),
    Reason.NO_SERIAL: _("The code names a kind of product, not a single unit."),
    Reason.NOT_A_REGISTRY_CODE: _("The code does not come from this registry."),
    Reason.KEY_REVOKED_BEFORE_BATCH: _("The signing key had been withdrawn before the batch was registered."),
    Reason.KEY_EXPIRED_BEFORE_BATCH: _("The signing key had expired before the batch was registered."),
    Reason.KEY_REGISTERED_AFTER_BATCH: _("The signing key was registered only after the batch."),
    Reason.ISSUER_SUSPENDED: _("The registry has suspended the firm that issued this code."),
    Reason.ISSUER_NOT_ENTITLED: _("The signing firm had no right to this product number."),
    Reason.CODE_UNREADABLE: _("The code could not be read."),
    Reason.LOT_DIFFERS: _("The lot in the code is not the lot that was registered."),
    Reason.EXPIRY_DIFFERS: _("The expiry date in the code is not the one that was registered."),
    Reason.STOLEN: _("The unit is reported stolen."),
    Reason.SEIZED: _("An authority has seized the unit."),
    Reason.RECALLED: _("The unit is recalled."),
    Reason.DESTROYED: _("The unit is recorded as destroyed."),
    Reason.LOCKED: _("The maker has locked the unit."),
    Reason.HELD: _("An authority holds the unit."),
    Reason.EXPIRED: _("The expiry date has passed."),
    Reason.EXPORTED: _("The unit is recorded as exported."),
    Reason.SOLD: _("The unit is recorded as sold."),
    Reason.DISPENSED: _("The unit is recorded as dispensed."),
    Reason.SAMPLED: _("An authority took the unit as a sample."),
    Reason.RETURNED: _("The unit was returned and is on offer again."),
    Reason.NOT_ACTIVATED: _("The maker has not yet put the unit into trade."),
    Reason.SAME_SESSION: _("You scanned it before; this does not count against it."),
    Reason.SOLD_TWICE: _("The unit is recorded as sold more than once."),
    Reason.SOLD_ELSEWHERE: _("The unit is recorded as sold by somebody else."),
    Reason.SEEN_AFTER_SALE: _("The unit was seen again after its sale."),
    Reason.RETAIL_BEFORE_ACTIVATION: _("The unit was scanned or sold in public before its maker put it into trade."),
    Reason.MANY_DEVICES: _("Many different devices have scanned this code."),
    Reason.DEVICE_CLOCK_AHEAD: _("The clock of the scanning device is ahead."),
    Reason.SCANNED_OFFLINE: _("It was scanned without a connection."),
}

PROFILES: dict[StrEnum, LazyString] = {
    Profile.SIGNED: _("Signed codes"),
    Profile.COMPACT: _("Small codes"),
    Profile.CASE: _("Cases"),
}

SECTORS: dict[StrEnum, LazyString] = {
    Sector.MEDICINE: _("Medicines and health"),
    Sector.SPIRITS: _("Wine, beer and spirits"),
    Sector.ELECTRONICS: _("Electronics and semiconductors"),
    Sector.APPAREL: _("Clothing and shoes"),
    Sector.VEHICLE_PARTS: _("Vehicles and parts"),
    Sector.COSMETICS: _("Cosmetics"),
    Sector.FOOD: _("Food and drink"),
    Sector.AGRICULTURE: _("Farm produce and inputs"),
    Sector.TOYS: _("Toys"),
    Sector.OTHER: _("Other goods"),
}

JOB_KINDS: dict[StrEnum, LazyString] = {
    JobKind.COMMISSION: _("Making codes"),
    JobKind.LABELS: _("Making labels"),
}

JOB_STATES: dict[StrEnum, LazyString] = {
    JobState.WAITING: _p("job", "Waits for a second person"),
    JobState.QUEUED: _p("job", "Waiting"),
    JobState.RUNNING: _p("job", "Running"),
    JobState.DONE: _p("job", "Done"),
    JobState.FAILED: _p("job", "Failed"),
}

ROLES: dict[StrEnum, LazyString] = {
    Role.OWNER: _("Owner"),
    Role.OPERATOR: _("Operator"),
    Role.RETAILER: _("Shop or pharmacy"),
    Role.SUPPLIER: _("Supplier"),
    Role.CO_OPERATIVE: _("Co-operative"),
    Role.CARRIER: _("Carrier"),
    Role.CUSTOMS_BROKER: _("Customs broker"),
    Role.INSPECTOR: _("Inspector"),
    Role.ANALYST: _("Analyst"),
    Role.AUDITOR: _("Auditor"),
    Role.CUSTOMS_CLIENT: _("Customs system"),
    Role.PLATFORM_ADMINISTRATOR: _("Administrator of the registry"),
}

LEDGER_STATES: dict[StrEnum, LazyString] = {
    LedgerState.WRITABLE: _p("ledger", "Open"),
    LedgerState.READ_ONLY: _p("ledger", "Stopped"),
    LedgerState.FROZEN: _p("ledger", "Closed for good"),
}

ALARMS: dict[StrEnum, LazyString] = {
    AlarmKind.FORK: _("Two histories under one key"),
    AlarmKind.AUDIT: _("An audit found a fault"),
    AlarmKind.WITNESS: _("A witness says that it saw another history"),
}

WITNESS_RESULTS: dict[StrEnum, LazyString] = {
    Result.COSIGNED: _p("witness", "Signed"),
    Result.UNREACHABLE: _p("witness", "Does not answer"),
    Result.REFUSED: _p("witness", "Refuses"),
    Result.CONTRADICTED: _p("witness", "Contradicts this register"),
}

AUDITS: dict[str, LazyString] = {
    "full": _p("audit", "everything"),
    "since": _p("audit", "the newest part"),
    "sample": _p("audit", "lines drawn by lot"),
}

_TABLES = (
    *(SUMMARIES, AUTHENTICITY, STATUSES, EVENTS, ACTIONS, RISKS, LABOUR, REASONS),
    *(PROFILES, SECTORS, JOB_KINDS, JOB_STATES, ROLES, LEDGER_STATES, ALARMS, WITNESS_RESULTS),
)

_TONES: dict[Tone, tuple[StrEnum, ...]] = {
    Tone.GOOD: (
        Summary.PASS,
        Authenticity.REGISTERED,
        Status.ACTIVE,
        Risk.NONE,
        JobState.DONE,
        LedgerState.WRITABLE,
        Result.COSIGNED,
    ),
    Tone.INFO: (JobState.RUNNING,),
    Tone.WARN: (
        Summary.CHECK,
        Authenticity.SIGNATURE_VALID_NOT_CONFIRMED,
        Authenticity.SIGNATURE_MISSING,
        Authenticity.KEY_EXPIRED,
        Authenticity.NOT_CHECKED,
        Authenticity.UNREADABLE,
        Status.SOLD,
        Status.DISPENSED,
        Status.EXPORTED,
        Status.EXPIRED,
        Risk.REVIEW,
        LedgerState.FROZEN,
        Result.UNREACHABLE,
        Result.REFUSED,
    ),
    Tone.BAD: (
        Summary.STOP,
        Authenticity.UNKNOWN_UNIT,
        Authenticity.INVALID_SIGNATURE,
        Authenticity.KEY_REVOKED,
        Authenticity.KEY_NOT_ENTITLED,
        Authenticity.FOREIGN_HOST,
        Status.DESTROYED,
        Status.RECALLED,
        Status.STOLEN,
        Status.LOCKED,
        Status.HELD,
        Status.SEIZED,
        Risk.SUSPECT,
        JobState.FAILED,
        LedgerState.READ_ONLY,
        Result.CONTRADICTED,
    ),
}


def word(value: StrEnum) -> str:
    """Give the value's name on a page; raises KeyError for a vocabulary that has none."""
    for table in _TABLES:
        if type(value) is type(next(iter(table))):
            return str(table[value])
    raise KeyError(value)


def tone(value: StrEnum) -> Tone:
    """Say how grave the value is; calm where it is neither good nor bad."""
    # Members of two vocabularies with the same text are equal, so they are compared by identity.
    return next((grave for grave, words in _TONES.items() if any(known is value for known in words)), Tone.CALM)


def job_word(kind: str) -> str:
    """Name a kind of work; one of a later version by its wire name."""
    known = {one.value: one for one in JobKind}
    return word(known[kind]) if kind in known else kind


def act_word(action: str) -> str:
    """Name an act by its wire name."""
    return word(Action(action))


def alarm_word(kind: str) -> str:
    """Name a kind of alarm; one of a later version by its wire name."""
    known = {one.value: one for one in AlarmKind}
    return word(known[kind]) if kind in known else kind


def audit_word(mode: str) -> str:
    """Say what an audit looked at; a mode of a later version by its wire name."""
    return str(AUDITS.get(mode, mode))


def witnessed_word(found: Witnessed) -> str:
    """Say how many witnesses signed a seal: never more than it is, also when there are none."""
    if not found.k:
        return str(_("Signed by the register only"))
    if found.by_quorum:
        return str(_("Witnessed by %(k)s of %(n)s", k=found.k, n=found.n))
    return str(_("Witnessed by only %(k)s of %(n)s, too few", k=found.k, n=found.n))


def install(app: Flask) -> None:
    """Make these available in templates as filters."""
    app.jinja_env.filters.update(
        word=word,
        tone=tone,
        job_word=job_word,
        act_word=act_word,
        alarm_word=alarm_word,
        audit_word=audit_word,
        witnessed_word=witnessed_word,
    )
