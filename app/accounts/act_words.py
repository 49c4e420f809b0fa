"""Administrative acts in words: what was done, by whom, and the few details that name nobody."""

from collections.abc import Mapping
from dataclasses import dataclass

from flask_babel import gettext
from flask_babel import lazy_gettext as _
from flask_babel import lazy_pgettext as _p
from flask_babel.speaklater import LazyString

from app.accounts.service import Act, ActRecord
from app.core.authorisation import Role

ACTS: dict[Act, LazyString] = {
    Act.MEMBER_INVITED: _("A person was invited"),
    Act.INVITATION_WITHDRAWN: _("An invitation was withdrawn"),
    Act.MEMBER_JOINED: _("A person joined"),
    Act.MEMBER_ROLE_CHANGED: _("A role was changed"),
    Act.MEMBER_REMOVED: _("A person left or was let go"),
    Act.API_KEY_CREATED: _("A machine got a key"),
    Act.API_KEY_REVOKED: _("The key of a machine ended"),
    Act.CLIENT_CREATED: _("A machine was registered"),
    Act.CLIENT_REVOKED: _("A machine was struck off"),
    Act.CERTIFICATE_REGISTERED: _("A machine's certificate was registered"),
    Act.CERTIFICATE_REVOKED: _("A machine's certificate ended"),
    Act.DEVICE_ENROLLED: _("A device was enrolled"),
    Act.DEVICE_RENEWED: _("A device was renewed"),
    Act.DEVICE_REVOKED: _("A device was struck off"),
    Act.ACCOUNT_RECOVERED: _("A person's second factors are taken away on request"),
    Act.ACCOUNT_RECOVERY_REFUSED: _("The request to take second factors away was refused"),
    Act.PERSON_ERASED: _("A person's account was erased"),
    Act.LIMITS_CHANGED: _("The organisation's limits were changed"),
    Act.BATCH_RELEASED: _("A large batch was released by a second person"),
    Act.BATCH_REFUSED: _("A large batch was refused by a second person"),
    Act.WEBHOOK_CREATED: _("An address for notices was registered"),
    Act.WEBHOOK_REMOVED: _("An address for notices was removed"),
}
_DETAILS: dict[str, LazyString] = {
    "person": _("Person"),
    "role": _("Role"),
    "from": _p("change of role", "Before"),
    "invitation": _("Invitation"),
    "again": _("Sent again"),
    "reason": _("Reason"),
}
"""Details that have a name on the page; others are shown under the word of the record."""
_ROLES = ("role", "from")


@dataclass(frozen=True, slots=True)
class Detail:
    """One detail of an act: its name, and its text, or the role that it says."""

    name: str
    text: str
    role: Role | None = None


@dataclass(frozen=True, slots=True)
class ToldAct:
    """An act as a page tells it."""

    log_index: int
    at: int
    title: str
    by: str
    details: list[Detail]


def tell(record: ActRecord, *, names: Mapping[str, str]) -> ToldAct:
    """The act in the reader's language.

    names: of people, by the name that records have for them (``person:7``); who is not in it stays a number.
    """
    return ToldAct(
        log_index=record.log_index,
        at=record.at,
        title=str(ACTS[record.act]),
        by=_party(record.actor, names),
        details=[_detail(name, value, names) for name, value in record.details.items() if value is not None],
    )


def _party(actor: str, names: Mapping[str, str]) -> str:
    kind, _colon, number = actor.partition(":")
    if kind == "person":
        return names.get(actor) or str(gettext("person no. %(number)s", number=number))
    return str(gettext("machine %(name)s", name=actor))


def _detail(name: str, value: object, names: Mapping[str, str]) -> Detail:
    text = str(value)
    if isinstance(value, bool):
        text = gettext("yes") if value else gettext("no")
    elif text.startswith("person:"):
        text = _party(text, names)
    role = Role(text) if name in _ROLES and text in set(Role) else None
    return Detail(str(_DETAILS.get(name, name)), text, role)
