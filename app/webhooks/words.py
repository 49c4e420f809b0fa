"""What notices, and the states of webhooks and their messages, are called on a page."""

from enum import StrEnum

from flask_babel import lazy_gettext as _
from flask_babel import lazy_pgettext as _p
from flask_babel.speaklater import LazyString

from app.core.notices import NoticeKind
from app.webhooks.values import TEST_KIND, DeliveryState, WebhookState

KINDS: dict[str, LazyString] = {
    NoticeKind.KEY_REGISTERED: _("A signing key was registered"),
    NoticeKind.KEY_REVOKED: _("A signing key was revoked"),
    NoticeKind.DEVICE_REVOKED: _("A device was revoked"),
    NoticeKind.DEVICE_CONFLICT: _("Two devices have the same key"),
    NoticeKind.MEMBER_JOINED: _("A person joined"),
    NoticeKind.ACCOUNT_RECOVERED: _("An account was recovered"),
    NoticeKind.BATCH_PUBLISHED: _("A batch was published"),
    NoticeKind.BATCH_WAITS_FOR_RELEASE: _("A batch waits for a second person"),
    NoticeKind.LIMIT_ASKED: _("A higher limit waits for a second person"),
    NoticeKind.OWNER_ACTED: _("The owner of a number acted on your goods"),
    NoticeKind.RIGHT_DECIDED: _("A right to a number was decided"),
    NoticeKind.GUESSING: _("Somebody guesses serials"),
    TEST_KIND: _("Test message"),
}
_STATES: dict[StrEnum, LazyString] = {
    WebhookState.WORKING: _p("webhook", "Working"),
    WebhookState.FAILING: _p("webhook", "Failing"),
    WebhookState.PAUSED: _p("webhook", "Paused"),
    DeliveryState.WAITING: _p("message", "Waits for the next attempt"),
    DeliveryState.DELIVERED: _p("message", "Delivered"),
    DeliveryState.GIVEN_UP: _p("message", "Given up"),
}
_TONES: dict[StrEnum, str] = {
    WebhookState.WORKING: "good",
    WebhookState.FAILING: "warn",
    WebhookState.PAUSED: "bad",
    DeliveryState.WAITING: "warn",
    DeliveryState.DELIVERED: "good",
    DeliveryState.GIVEN_UP: "bad",
}
_PROBLEMS: dict[str, LazyString] = {
    "address_refused": _("Its address leads into a network that is not the public Internet."),
    "not_resolved": _("Its host name is not known."),
    "unreachable": _("Nobody takes the connection."),
    "tls": _("Its certificate does not fit or has expired."),
    "timeout": _("It did not answer in time."),
    "bad_answer": _("It ended the connection without an answer."),
}


def kind(value: str) -> str:
    """What a notice is called; its own word for one that was added since."""
    return str(KINDS.get(value, value))


def state(value: StrEnum) -> str:
    """What a state is called."""
    return str(_STATES[value])


def tone(value: StrEnum) -> str:
    """How grave a state is: a class name of the style sheet."""
    return _TONES[value]


def problem(value: str | None, status: int | None) -> str:
    """What became of the last attempt; empty when there was none."""
    if status is not None:
        return f"HTTP {status}"
    return "" if value is None else str(_PROBLEMS.get(value, value))
