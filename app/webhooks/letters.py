"""The letter that says that a webhook was paused."""

from app.core.i18n import in_language
from app.core.services import Services


def _mark(sentence: str) -> str:
    """Mark a sentence for translation where it stands before its language is known."""
    return sentence


_SUBJECT = _mark("A webhook of your organisation was paused")
_TEXT = _mark(
    "The webhook %(reference)s took no message for three days, or said that it is gone. Nothing more is sent to it. "
    "What is new waits here. When the receiver works again, resume it here:"
)


def paused_letter(services: Services, language: str, *, reference: str) -> tuple[str, str]:
    """The subject and the text, in a person's language."""
    address = f"{services.settings.public_url.rstrip('/')}/organisation/webhooks/{reference}"
    text = in_language(language, _TEXT, reference=reference)
    return in_language(language, _SUBJECT), f"{text}\n\n{address}\n"
