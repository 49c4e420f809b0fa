"""Serials that a firm brought, kept between the request and the job that commissions them."""

import zlib
from collections.abc import Sequence

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from app.core.errors import NotFound
from app.registry.models import SerialFileRow

_LEVEL = 1  # serials are close to random: a better level gains little


def keep_serials(session: Session, *, job_id: str, part: int, serials: Sequence[str]) -> None:
    """Store the serials of one part of a job in the session's transaction, unless they are stored."""
    if session.get(SerialFileRow, (job_id, part)) is None:
        data = zlib.compress("\n".join(serials).encode("ascii"), _LEVEL)
        session.add(SerialFileRow(job_id=job_id, part=part, data=data))


def read_serials(session: Session, *, job_id: str, part: int) -> list[str]:
    """The serials of one part of a job; raises NotFound."""
    data = session.scalar(select(SerialFileRow.data).where(SerialFileRow.job_id == job_id, SerialFileRow.part == part))
    if data is None:
        raise NotFound("The serials of this job are no longer kept.", code="serials_gone")
    return zlib.decompress(data).decode("ascii").split("\n")


def forget_serials(session: Session, *, job_id: str) -> None:
    """Remove the files of a job that has ended."""
    session.execute(delete(SerialFileRow).where(SerialFileRow.job_id == job_id))
