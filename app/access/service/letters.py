"""Letters to a person about the own account, in that person's language; sent when what they are about is committed."""

from enum import Enum

from sqlalchemy.orm import Session

from app.accounts import service as accounts
from app.core.i18n import in_language
from app.core.mail import queue_mail
from app.core.services import Services


def _mark(text: str) -> str:
    """Mark a text for translation where it stands; it is translated when the letter is written."""
    return text


class Letter(Enum):
    """A letter: its subject and its text, with places for what is particular."""

    PASSKEY_ADDED = (
        _mark("A passkey was added to your account"),
        _mark(
            "The passkey “%(name)s” can now sign in to your account.\n\n"
            "If that was not you: sign in, remove it, and change your password."
        ),
    )
    FACTOR_REMOVED = (
        _mark("A second factor was removed from your account"),
        _mark(
            "A passkey or an app for codes protects your account no longer.\n\n"
            "If that was not you: change your password, then set one up again."
        ),
    )
    PASSWORD_CHANGED = (
        _mark("Your password was changed"),
        _mark(
            "Your account has another password from now on, and every other browser is signed out.\n\n"
            "If that was not you: set a new one at %(address)s and ask whoever manages your organisation for help."
        ),
    )
    CODES_REFUSED = (
        _mark("Somebody knows your password"),
        _mark(
            "Somebody gave your right password and then, several times, a wrong second factor.\n\n"
            "If that was not you: set a new password now, at %(address)s."
        ),
    )
    RECOVERY = (
        _mark("Set a new password"),
        _mark(
            "Somebody, probably you, asked to set a new password for your account. This address does it, once, within "
            "30 minutes:\n\n%(address)s\n\nIf it was not you, there is nothing to do."
        ),
    )
    RESET_ASKED = (
        _mark("Your second factors are to be removed"),
        _mark(
            "Somebody who manages accounts asked to remove the passkeys and the app for codes from your account, "
            "because you are said to have lost them. It happens in 24 hours.\n\n"
            "If you have not asked for it, refuse it here:\n\n%(address)s\n\nSigning in as usual refuses it too."
        ),
    )
    RESET_DONE = (
        _mark("Your second factors were removed"),
        _mark("Your password alone opens your account now. Set up a passkey or an app for codes again."),
    )


def send_letter(session: Session, services: Services, letter: Letter, *, person_id: int, **parameters: str) -> None:
    """Queue a letter to the person in the session's transaction."""
    person = accounts.person_by_id(session, person_id)
    subject, text = (in_language(person.locale, part, **parameters) for part in letter.value)
    queue_mail(session, services, to=person.email, subject=subject, text=f"{text}\n")


def address_of(services: Services, path: str) -> str:
    """The address of a page of this registry, as letters say it."""
    return services.settings.public_url.rstrip("/") + path
