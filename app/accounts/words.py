"""What the words of the accounts vocabularies are called on a page, and how grave each is."""

from collections.abc import Iterable
from enum import StrEnum

from flask_babel import lazy_gettext as _
from flask_babel import lazy_pgettext as _p
from flask_babel.speaklater import LazyString

from app.accounts.vocabulary import (
    KeyHolder,
    OrganisationKeyPurpose,
    OrganisationKind,
    OrganisationStatus,
    RightKind,
    RightStatus,
)

_WORDS: dict[type[StrEnum], dict[StrEnum, LazyString]] = {
    OrganisationKind: {
        OrganisationKind.FIRM: _("Firm that makes or brands goods"),
        OrganisationKind.SHOP: _("Shop, pharmacy or distributor"),
        OrganisationKind.AUTHORITY: _("Public authority"),
        OrganisationKind.REGISTRY: _("The registry itself"),
    },
    OrganisationStatus: {
        OrganisationStatus.PENDING: _p("organisation", "Waiting for the registry"),
        OrganisationStatus.APPROVED: _p("organisation", "Approved"),
        OrganisationStatus.REFUSED: _p("organisation", "Refused"),
        OrganisationStatus.SUSPENDED: _p("organisation", "Suspended"),
    },
    RightKind: {
        RightKind.PREFIX: _("GS1 company prefix"),
        RightKind.GTIN: _("Single product number (GTIN)"),
        RightKind.DELEGATION: _("Product number of another firm"),
    },
    RightStatus: {
        RightStatus.REQUESTED: _p("right", "Waiting for the registry"),
        RightStatus.APPROVED: _p("right", "Approved"),
        RightStatus.REFUSED: _p("right", "Refused"),
        RightStatus.REVOKED: _p("right", "Ended"),
    },
    KeyHolder: {
        KeyHolder.SERVICE: _p("key", "The registry"),
        KeyHolder.FIRM: _p("key", "Your firm"),
    },
    OrganisationKeyPurpose: {
        OrganisationKeyPurpose.CODE: _("Signs codes"),
        OrganisationKeyPurpose.STATEMENT: _("Signs records"),
    },
}

_GOOD = (OrganisationStatus.APPROVED, RightStatus.APPROVED)
_WARN = (OrganisationStatus.PENDING, RightStatus.REQUESTED)
_BAD = (OrganisationStatus.REFUSED, OrganisationStatus.SUSPENDED, RightStatus.REFUSED, RightStatus.REVOKED)


def say(value: StrEnum) -> str:
    """The value's name in the reader's language."""
    return str(_WORDS[type(value)][value])


def choices(values: Iterable[StrEnum]) -> list[tuple[str, str]]:
    """The values as the (value, text) pairs of a choice on a form."""
    return [(value.value, say(value)) for value in values]


def tone(value: StrEnum) -> str:
    """How grave the value is: good, warn, bad or calm (the style sheet's words)."""
    # Words of two vocabularies can be equal as text, so members are compared by identity.
    for name, members in (("good", _GOOD), ("warn", _WARN), ("bad", _BAD)):
        if any(member is value for member in members):
            return name
    return "calm"
