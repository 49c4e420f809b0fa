"""How much one person alone may have made: the threshold above which a second person has to release it.

Nothing is stored but the acts on the ledger: the threshold in force is what they add up to, so that it can not be
changed behind the ledger (docs/decisions/0010-second-person.md). Lowering it counts at once. Raising it, or switching
it off, is what a thief would do first: it needs another manager or, where there is only one, a day in which the mail
about it is read.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.accounts.models import OrganisationRow
from app.accounts.service.acts import Act, ActRecord, acts_of_kind, perform
from app.accounts.service.people import Person, managers_of
from app.accounts.service.records import organisation_by_id
from app.accounts.service.second_person import refuse_unless_second
from app.accounts.vocabulary import OrganisationStatus
from app.core.authorisation import Principal
from app.core.clock import now_ms, to_iso
from app.core.errors import Conflict, Forbidden, Invalid
from app.core.i18n import in_language
from app.core.mail import queue_mail
from app.core.notices import NoticeKind, notify
from app.core.services import Services

LIMIT = "second_person_above"
WAIT_MS = 24 * 3_600_000
"""How long a sole manager waits until the threshold rises."""
OPEN_MS = 14 * WAIT_MS
"""How long a request waits for the other manager."""
MAX_UNITS = 10**9


def _mark(text: str) -> str:
    return text


SUBJECT = _mark("The limit for one person alone is to rise")
BODY = _mark(
    "%(who)s asked on %(when)s UTC that in %(organisation)s one person alone may have up to %(units)s units of a "
    "product made within 24 hours.\n\n%(what)s\n\nIf nobody of you meant this: refuse it on the page Limits "
    "(%(address)s), and change the passwords.\n"
)
BY_ANOTHER = _mark("It counts once another manager has agreed.")
BY_TIME = _mark("It counts from %(until)s UTC on, unless it is refused before.")
ANY_NUMBER = _mark("any number of")


@dataclass(frozen=True, slots=True)
class PendingLimit:
    """A threshold that somebody asked for and that does not count yet.

    above: None to switch it off. asked_by: number of the person. takes_effect_at: milliseconds; None when another
    manager must agree, until `ends_at`.
    """

    above: int | None
    asked_by: int
    asked_at: int
    takes_effect_at: int | None

    @property
    def ends_at(self) -> int:
        """When it is given up, where another manager must agree (milliseconds)."""
        return self.asked_at + OPEN_MS


@dataclass(frozen=True, slots=True)
class Limits:
    """What counts now. second_person_above: units of one product within 24 hours; None for no threshold."""

    second_person_above: int | None
    pending: PendingLimit | None = None


def limits_of(services: Services, session: Session, *, organisation_id: int, now: int | None = None) -> Limits:
    """The organisation's limits at `now` (milliseconds)."""
    default = services.settings.second_person_above or None
    acts = acts_of_kind(session, organisation_id=organisation_id, act=Act.LIMITS_CHANGED)
    return add_up(acts, default=default, now=now_ms() if now is None else now)


def add_up(acts: Iterable[ActRecord], *, default: int | None, now: int) -> Limits:
    """What the acts add up to, in the order of the ledger: pure. default: the threshold before the first of them."""
    limits = Limits(default)
    for act in acts:
        if act.details.get("limit") != LIMIT:
            continue
        limits = _at(limits, act.at)
        step, above = act.details.get("step"), act.details.get("above")
        if step == "set":
            limits = Limits(above)
        elif step == "asked":
            person = int(act.actor.removeprefix("person:"))
            waits = act.details.get("by_time") is True
            limits = replace(limits, pending=PendingLimit(above, person, act.at, act.at + WAIT_MS if waits else None))
        elif step == "agreed" and limits.pending is not None:
            limits = Limits(limits.pending.above)
        elif step == "refused":
            limits = replace(limits, pending=None)
    return _at(limits, now)


def hold_approved(session: Session, *, organisation_id: int) -> None:
    """Hold the organisation for the length of the transaction: its requests are counted one after the other.

    Raises Forbidden unless the registry has approved it.
    """
    # The weaker lock: rows that only refer to the organisation need not wait for it.
    held = select(OrganisationRow.status).where(OrganisationRow.id == organisation_id).with_for_update(key_share=True)
    if session.scalar(held) != OrganisationStatus.APPROVED:
        raise Forbidden(
            "The registry has not approved your organisation, or has closed its access.",
            code="organisation_not_approved",
        )


def change_limit(services: Services, *, by: Principal, above: int | None) -> Limits:
    """Set the threshold, or ask for a higher one; above: None to switch it off.

    Raises Invalid, Forbidden (machines do not change it), Conflict when somebody else changed it at that moment.
    """
    organisation_id, _ = _person(by)
    if above is not None and not 1 <= above <= MAX_UNITS:
        raise Invalid("The limit is a whole number of units, at least 1, or none.", code="limit")
    with Session(services.engine) as session:
        seen = limits_of(services, session, organisation_id=organisation_id)
        managers = managers_of(session, organisation_id)
    if above == seen.second_person_above and seen.pending is None:
        return seen
    details: dict[str, str | int | bool | None] = {"limit": LIMIT, "above": above}
    if _is_higher(above, seen.second_person_above):
        details |= {"step": "asked", "by_time": len(managers) < 2}
    else:
        details |= {"step": "set"}

    def apply(session: Session) -> None:
        _refuse_if_changed(services, session, organisation_id, seen)
        if details["step"] == "asked":
            if details["by_time"] != (len(managers_of(session, organisation_id)) < 2):
                raise _changed()
            _tell(services, session, organisation_id, managers, by=by, above=above, by_time=bool(details["by_time"]))

    return _perform(services, by, details, apply)


def decide_limit(services: Services, *, by: Principal, agree: bool) -> Limits:
    """Agree to a higher threshold, as another manager than the one who asked, or refuse it, as anybody who manages.

    Raises Conflict when nothing waits, Forbidden for whoever asked for it.
    """
    organisation_id, person_id = _person(by)
    with Session(services.engine) as session:
        seen = limits_of(services, session, organisation_id=organisation_id)
    if seen.pending is None:
        raise Conflict("No change of the limit waits for a decision.", code="not_waiting")
    asked_by = seen.pending.asked_by

    def apply(session: Session) -> None:
        _refuse_if_changed(services, session, organisation_id, seen)
        if agree:
            refuse_unless_second(
                session, organisation_id=organisation_id, person_id=person_id, asked_by_person=asked_by
            )

    step = "agreed" if agree else "refused"
    return _perform(services, by, {"limit": LIMIT, "step": step, "above": seen.pending.above}, apply)


def _perform(
    services: Services,
    by: Principal,
    details: dict[str, str | int | bool | None],
    apply: Callable[[Session], None],
) -> Limits:
    organisation_id, _ = _person(by)
    perform(services, Act.LIMITS_CHANGED, organisation_id=organisation_id, by=by, details=details, apply=apply)
    with Session(services.engine) as session:
        return limits_of(services, session, organisation_id=organisation_id)


def _at(limits: Limits, now: int) -> Limits:
    """The limits once the time has come for what waited, or is over."""
    pending = limits.pending
    if pending is None:
        return limits
    if pending.takes_effect_at is not None:
        return Limits(pending.above) if pending.takes_effect_at <= now else limits
    return replace(limits, pending=None) if pending.ends_at <= now else limits


def _is_higher(above: int | None, present: int | None) -> bool:
    if present is None:
        return False
    return above is None or above > present


def _person(by: Principal) -> tuple[int, int]:
    if by.organisation_id is None or not by.person_id:
        raise Forbidden("Limits are changed by people, not by machines.", code="person_needed")
    return by.organisation_id, by.person_id


def _refuse_if_changed(services: Services, session: Session, organisation_id: int, seen: Limits) -> None:
    if limits_of(services, session, organisation_id=organisation_id) != seen:
        raise _changed()


def _changed() -> Conflict:
    return Conflict("Somebody changed the limit at this moment.", code="limit_changed", fix="Look at it again.")


def _tell(
    services: Services,
    session: Session,
    organisation_id: int,
    managers: Iterable[Person],
    *,
    by: Principal,
    above: int | None,
    by_time: bool,
) -> None:
    """Write to everybody who manages the organisation, whoever asked included: it may have been somebody else."""
    now = now_ms()
    organisation = organisation_by_id(session, organisation_id)
    notify(
        session,
        organisation_id=organisation_id,
        kind=NoticeKind.LIMIT_ASKED,
        data={"limit": LIMIT, "above": above, "asked_by": by.actor, "by_time": by_time},
    )
    for person in managers:
        language = person.locale
        if by_time:
            what = in_language(language, BY_TIME, until=_minute(now + WAIT_MS))
        else:
            what = in_language(language, BY_ANOTHER)
        text = in_language(
            language,
            BODY,
            who=by.name,
            when=_minute(now),
            organisation=organisation.name,
            units=in_language(language, ANY_NUMBER) if above is None else f"{above:,}",
            what=what,
            address=f"{services.settings.public_url}/organisation/limits",
        )
        queue_mail(session, services, to=person.email, subject=in_language(language, SUBJECT), text=text)


def _minute(at: int) -> str:
    return to_iso(at)[:16].replace("T", " ")
