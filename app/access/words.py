"""What the words of a person's history are called on a page."""

from flask_babel import lazy_gettext as _
from flask_babel.speaklater import LazyString

from app.access.service import SecurityEvent

_EVENTS: dict[SecurityEvent, LazyString] = {
    SecurityEvent.SIGNED_IN_BY_PASSWORD: _("Signed in with the password"),
    SecurityEvent.SIGNED_IN_BY_CODE: _("Signed in with the password and a code"),
    SecurityEvent.SIGNED_IN_BY_PASSKEY: _("Signed in with a passkey"),
    SecurityEvent.SIGNED_IN_BY_RECOVERY_CODE: _("Signed in with the password and a recovery code"),
    SecurityEvent.PASSWORD_REFUSED: _("Wrong password"),
    SecurityEvent.CODE_REFUSED: _("Right password, wrong code"),
    SecurityEvent.PASSKEY_REFUSED: _("Passkey refused"),
    SecurityEvent.PASSKEY_COUNTER_WENT_BACK: _("Passkey refused: there may be a copy of it"),
    SecurityEvent.PASSWORD_CHANGED: _("Password changed"),
    SecurityEvent.RECOVERY_ASKED: _("A link for a new password was asked for"),
    SecurityEvent.PASSWORD_RECOVERED: _("New password set by the link"),
    SecurityEvent.PASSKEY_ADDED: _("Passkey added"),
    SecurityEvent.PASSKEY_REMOVED: _("Passkey removed"),
    SecurityEvent.CODE_APP_ADDED: _("App for codes set up"),
    SecurityEvent.CODE_APP_REMOVED: _("App for codes removed"),
    SecurityEvent.RECOVERY_CODES_MADE: _("Recovery codes made"),
    SecurityEvent.SESSION_ENDED: _("Another browser signed out"),
    SecurityEvent.RESET_ASKED: _("Removal of the second factors announced"),
    SecurityEvent.RESET_REFUSED: _("Removal of the second factors refused"),
    SecurityEvent.RESET_DONE: _("Second factors removed, as announced"),
}


def say_event(event: SecurityEvent) -> str:
    """The event in the reader's language."""
    return str(_EVENTS[event])
