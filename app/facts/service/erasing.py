"""Events repeat what the ledger's bodies say; what is erased there is erased here, in the same transaction."""

from sqlalchemy import Connection, update

from app.facts.models import EventRow
from ledger.erasure import BodyCopies


def _erase(connection: Connection, index: int) -> None:
    # The guard of the table lets this one change pass, and only after the erasure is on record.
    connection.execute(update(EventRow).where(EventRow.log_index == index, EventRow.body != "").values(body=""))


EVENT_BODIES = BodyCopies("events", _erase)
