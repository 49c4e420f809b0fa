"""The owner of a number speaks about goods that another organisation made by its right; the maker is told."""

from collections.abc import Callable
from dataclasses import replace

from sqlalchemy import Connection
from sqlalchemy.orm import Session

from app.accounts import service as accounts
from app.core.database import session_on
from app.core.i18n import in_language
from app.core.mail import queue_mail
from app.core.notices import NoticeKind, notify
from app.core.services import Services
from app.facts import service as facts
from app.facts.vocabulary import EventKind
from app.registry import service as registry


def _mark(text: str) -> str:
    return text


SUBJECT = _mark("The owner of the number acted on batch %(batch)s")
BODY = _mark(
    "%(owner)s owns the product number of your batch %(batch)s and has recorded something about it, or about some of "
    "its units (entry %(index)s of the ledger): recalled, locked, stolen, or the end of these.\n\nLook at it: "
    "%(address)s\n"
)


def with_owners(services: Services, organisation_id: int, goods: facts.Goods) -> facts.Goods:
    """The goods, with those by whose right they were made when `organisation_id` did not make them itself."""
    if organisation_id == goods.issued_by:
        return goods
    with Session(services.engine) as session:
        return replace(goods, owners=registry.owners_of_batch(session, goods.batch_id))


def telling_the_maker(
    services: Services, organisation_id: int, kind: EventKind, goods: facts.Goods
) -> Callable[[Connection, int], None] | None:
    """What tells the maker, in the event's transaction; None where the maker, or nobody's owner, speaks."""
    if organisation_id == goods.issued_by or organisation_id not in goods.owners:
        return None

    def tell(connection: Connection, index: int) -> None:
        with session_on(connection) as session:
            owner = accounts.organisation_by_id(session, organisation_id)
            notify(
                session,
                organisation_id=goods.issued_by,
                kind=NoticeKind.OWNER_ACTED,
                data={
                    "batch": goods.handle,
                    "event": kind.value,
                    "units": goods.quantity,
                    "whole_batch": goods.is_whole_batch,
                    "by": owner.issuer,
                    "log_index": index,
                },
            )
            words = {
                "batch": goods.handle,
                "owner": owner.name,
                "index": index,
                "address": f"{services.settings.public_url}/batches/{goods.handle}",
            }
            for person in accounts.managers_of(session, goods.issued_by):
                subject = in_language(person.locale, SUBJECT, batch=goods.handle)
                queue_mail(
                    session, services, to=person.email, subject=subject, text=in_language(person.locale, BODY, **words)
                )

    return tell
