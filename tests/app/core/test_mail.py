"""Messages to people: one that can not be sent stops no other."""

from __future__ import annotations

import smtplib
from dataclasses import replace
from types import TracebackType
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.core.database import write_session
from app.core.mail import OutgoingMailRow, queue_mail, send_waiting_mail
from app.core.services import Services
from tests.builders import on_sqlite

pytestmark = on_sqlite


class Server:
    """A mail server that takes everything; `taken` are the recipients."""

    taken: list[str]

    def __init__(self, *_where: object, **_how: object) -> None:
        pass

    def __enter__(self) -> Server:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: object, trace: TracebackType | None) -> None:
        pass

    def sendmail(self, _sender: str, recipients: list[str], _data: bytes) -> dict[str, Any]:
        """Speak ASCII on the wire, as SMTP without extensions does."""
        for recipient in recipients:
            recipient.encode("ascii")
            Server.taken.append(recipient)
        return {}


@pytest.fixture
def mailing(services: Services, monkeypatch: pytest.MonkeyPatch) -> Services:
    Server.taken = []
    monkeypatch.setattr(smtplib, "SMTP", Server)
    return replace(services, settings=replace(services.settings, mail_server="smtp://mail.example.org"))


def waiting(services: Services) -> int:
    with Session(services.engine) as session:
        return session.scalar(select(func.count()).select_from(OutgoingMailRow)) or 0


@pytest.mark.parametrize("fault", ["address", "sealed"])
def test_a_message_that_can_not_be_sent_does_not_keep_the_others_back(mailing: Services, fault: str) -> None:
    with write_session(mailing.engine) as session:
        queue_mail(session, mailing, to="ñandú@example.org", subject="One", text="...")
        if fault == "sealed":
            session.flush()
            session.scalars(select(OutgoingMailRow)).one().sealed = b"\x01damaged, or of another key"
        queue_mail(session, mailing, to="rosa@example.org", subject="Two", text="...")
    assert send_waiting_mail(mailing) == 1
    assert Server.taken == ["rosa@example.org"]
    assert waiting(mailing) == 1  # it is tried again, and given up after a day
    assert send_waiting_mail(mailing) == 0  # not at once
