"""Letters that wait to be sent, as their readers would see them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from email import message_from_bytes
from email.policy import default

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.core.mail import OutgoingMailRow
from app.core.services import Services


@dataclass(frozen=True)
class Letter:
    """One letter."""

    to: str
    subject: str
    text: str

    @property
    def path(self) -> str:
        """The path of the one address in the letter."""
        found = re.findall(r"https?://[^/\s]+(/\S*)", self.text)
        assert len(found) == 1, self.text
        return str(found[0])


def waiting_letters(services: Services, *, to: str | None = None) -> list[Letter]:
    """Letters that wait, oldest first; `to` one address, if it is given."""
    with Session(services.engine) as session:
        sealed = session.scalars(select(OutgoingMailRow.sealed).order_by(OutgoingMailRow.id)).all()
    found = []
    for each in sealed:
        message = message_from_bytes(services.sealer.open(each, "outgoing mail"), policy=default)
        body = message.get_body()
        assert body is not None
        found.append(Letter(str(message["To"]), str(message["Subject"]), body.get_content()))
    return [letter for letter in found if to is None or letter.to == to]
