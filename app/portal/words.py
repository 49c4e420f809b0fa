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
from app.registry.vocabulary import JobKind, Profile, Sector
from app.verification.verdict import Authenticity, Labour, Risk, Status, Summary


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

_TABLES = (SUMMARIES, AUTHENTICITY, STATUSES, RISKS, LABOUR, PROFILES, SECTORS, JOB_KINDS, JOB_STATES, ROLES)

_TONES: dict[Tone, tuple[StrEnum, ...]] = {
    Tone.GOOD: (Summary.PASS, Authenticity.REGISTERED, Status.ACTIVE, Risk.NONE, JobState.DONE),
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


def install(app: Flask) -> None:
    """Make both available in templates as filters."""
    app.jinja_env.filters.update(word=word, tone=tone)
