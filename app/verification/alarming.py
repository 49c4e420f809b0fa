"""What follows from an alarm about guessing: mail to the registry's administrators, a notice to whom it concerns."""

from contextlib import suppress

from sqlalchemy.orm import Session

from app.accounts import service as accounts
from app.core.alarms import AlarmKind, raise_alarm
from app.core.authorisation import Permission
from app.core.errors import NotFound
from app.core.i18n import in_language
from app.core.mail import queue_mail
from app.core.notices import NoticeKind, notify
from app.core.services import Services
from app.registry import service as registry


def _mark(sentence: str) -> str:
    """Mark a sentence for translation where it stands before its language is known."""
    return sentence


_SUBJECT = _mark("Somebody guesses codes")
_TEXT = _mark(
    "In a quarter of an hour %(amount)s different codes were asked for that this registry does not confirm "
    "(%(kind)s %(subject)s). Guessing wins nothing: the chance of a guess is on the page about the registry's "
    "transparency. It shows that somebody tries, or that false codes are about. All alarms:"
)


def raise_guessing_alarm(session: Session, services: Services, kind: AlarmKind, *, subject: str, amount: int) -> None:
    """Raise the alarm in the session's transaction; whoever should know is told when it is new."""
    if not raise_alarm(session, kind, subject=subject, amount=amount):
        return
    said: dict[str, str | int] = {"alarm": kind.value, "subject": subject, "amount": amount}
    concerned = set(accounts.registry_organisations(session))
    for organisation_id in concerned:
        _write_to(session, services, organisation_id, said)
    if kind is AlarmKind.GUESSING_BATCH:
        with suppress(NotFound):  # a handle that nobody has: guessed like the rest
            concerned.add(registry.find_batch(session, subject).organisation_id)
    for organisation_id in sorted(concerned):
        notify(session, organisation_id=organisation_id, kind=NoticeKind.GUESSING, data=said)


def _write_to(session: Session, services: Services, organisation_id: int, said: dict[str, str | int]) -> None:
    address = f"{services.settings.public_url.rstrip('/')}/admin/alarms"
    readers = accounts.people_who_may(session, organisation_id=organisation_id, permission=Permission.ALARM_READ)
    for person in readers:
        text = in_language(person.locale, _TEXT, amount=said["amount"], kind=said["alarm"], subject=said["subject"])
        queue_mail(
            session,
            services,
            to=person.email,
            subject=in_language(person.locale, _SUBJECT),
            text=f"{text}\n\n{address}\n",
        )
