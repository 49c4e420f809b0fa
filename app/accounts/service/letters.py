"""Letters to people about organisations: plain text, in the person's language, added to the sender's transaction.

A letter tells what happened and where to look. The only secrets in one are the links that open an application or an
invitation.
"""

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy.orm import Session

from app.accounts.service.people import Person
from app.accounts.values import Organisation, Right
from app.accounts.vocabulary import OrganisationStatus, RightStatus
from app.core.i18n import in_language
from app.core.mail import queue_mail
from app.core.services import Services


def _mark(sentence: str) -> str:
    """Mark a sentence for translation where it stands before its language is known."""
    return sentence


@dataclass(frozen=True, slots=True)
class _Letter:
    """Subject, what is told before the address of the page, and what after it."""

    subject: str
    told: str
    closing: str


_REASON = _mark("Reason: %(reason)s")
_CONFIRM = _Letter(
    _mark("Confirm the application of %(organisation)s"),
    _mark("Somebody, we think you, asks that %(organisation)s may join. Open this page within a day to go on:"),
    _mark("If it was not you, do nothing: without this link nothing happens."),
)
_KNOWN = _Letter(
    _mark("You have an account already"),
    _mark(
        "Somebody, perhaps you, has asked with this address that %(organisation)s may join. This address has an "
        "account: sign in with it, or set a new password there if you forgot yours."
    ),
    _mark("If it was not you, do nothing: nobody was told that you have an account."),
)
_INVITATION = _Letter(
    _mark("%(organisation)s invites you"),
    _mark("You are invited to act for %(organisation)s in this registry. Open this page within seven days:"),
    _mark("The link works once. If you do not know the sender, do nothing."),
)
_ASK_AT_ONCE = _mark("If you do not know why, ask at once: whoever takes over an account begins with the others.")
_LET_GO = _Letter(
    _mark("You no longer act for %(organisation)s"),
    _mark("Somebody who manages %(organisation)s has ended your membership. Your account itself stays:"),
    _ASK_AT_ONCE,
)
_OTHER_ROLE = _Letter(
    _mark("You have another role in %(organisation)s"),
    _mark("Somebody who manages %(organisation)s has given you another role. What it may do stands here:"),
    _ASK_AT_ONCE,
)
_DECIDED = {
    OrganisationStatus.APPROVED: _Letter(
        _mark("%(organisation)s is approved"),
        _mark("The registry has approved %(organisation)s. Your people and machines can work now."),
        _REASON,
    ),
    OrganisationStatus.REFUSED: _Letter(
        _mark("%(organisation)s is refused"),
        _mark("The registry has refused %(organisation)s. When you have mended what it says, you can ask again:"),
        _REASON,
    ),
    OrganisationStatus.SUSPENDED: _Letter(
        _mark("%(organisation)s is suspended"),
        _mark("The registry has suspended %(organisation)s: nobody can sign in or act for it until it is re-opened."),
        _REASON,
    ),
}
_RIGHT_DECIDED = {
    RightStatus.APPROVED: _Letter(
        _mark("You may make codes under %(number)s"),
        _mark("The registry has approved the number %(number)s for %(organisation)s."),
        _REASON,
    ),
    RightStatus.REFUSED: _Letter(
        _mark("The number %(number)s is refused"),
        _mark("The registry has refused the number %(number)s for %(organisation)s. Ask again with better proof:"),
        _REASON,
    ),
}


def confirm_application(
    session: Session, services: Services, *, email: str, language: str, organisation: str, token: str
) -> None:
    """Send the link that confirms an address and sends the application in."""
    write = _writer(session, services, email, language)
    write(_CONFIRM, f"/sign-up/{token}", organisation=organisation)


def application_of_known(session: Session, services: Services, *, person: Person, organisation: str) -> None:
    """Tell somebody who has an account that the address was used in an application."""
    write = _writer(session, services, person.email, person.locale)
    write(_KNOWN, "/sign-in", organisation=organisation)


def invitation(
    session: Session, services: Services, *, email: str, language: str, organisation: str, token: str
) -> None:
    """Send the link of an invitation."""
    write = _writer(session, services, email, language)
    write(_INVITATION, f"/join/{token}", organisation=organisation)


def let_go(session: Session, services: Services, *, email: str, language: str, organisation: str) -> None:
    """Tell somebody that others have ended the membership."""
    _writer(session, services, email, language)(_LET_GO, "/sign-in", organisation=organisation)


def other_role(session: Session, services: Services, *, email: str, language: str, organisation: str) -> None:
    """Tell somebody that others have changed the role."""
    _writer(session, services, email, language)(_OTHER_ROLE, "/organisation/roles", organisation=organisation)


def organisation_decided(session: Session, services: Services, *, to: Person, organisation: Organisation) -> None:
    """Tell a manager what the registry decided on the organisation."""
    write = _writer(session, services, to.email, to.locale)
    letter = _DECIDED[organisation.status]
    write(letter, "/organisation", organisation=organisation.name, reason=organisation.decision_reason)


def right_decided(
    session: Session, services: Services, *, to: Person, organisation: Organisation, right: Right
) -> None:
    """Tell a manager what the registry decided on a number."""
    write = _writer(session, services, to.email, to.locale)
    letter = _RIGHT_DECIDED[right.status]
    write(letter, "/organisation", organisation=organisation.name, number=right.value, reason=right.decision_reason)


def _writer(session: Session, services: Services, email: str, language: str) -> Callable[..., None]:
    """Give what writes a letter to one reader: the letter, the path of its page, what its sentences name."""

    def write(letter: _Letter, path: str, **named: object) -> None:
        told = in_language(language, letter.told, **named)
        closing = in_language(language, letter.closing, **named)
        queue_mail(
            session,
            services,
            to=email,
            subject=in_language(language, letter.subject, **named),
            text=f"{told}\n\n{services.settings.public_url.rstrip('/')}{path}\n\n{closing}\n",
        )

    return write
