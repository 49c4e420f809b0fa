"""Messages to people: kept sealed with the record that causes them, sent by the worker, tried again until they go out.

A message stands in the database from the moment its cause is committed, so that none is lost and none is sent for
something that did not happen. It is sealed because it may hold a link that opens an account; once sent it is gone.
Without a mail server it is written into a folder, where whoever runs the service reads it.
"""

import os
import smtplib
import ssl
from contextlib import AbstractContextManager
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, make_msgid, parseaddr
from pathlib import Path
from urllib.parse import unquote, urlsplit

import structlog
from sqlalchemy import Connection, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from app.core.clock import now, now_ms
from app.core.config import Settings
from app.core.database import Base, BigId, Bytes, Milliseconds, write_session
from app.core.rounds import regularly
from app.core.sealing import SealError
from app.core.services import Services

ROUND_SECONDS = 2.0
"""How long a message waits at most before the worker looks at it."""
TIMEOUT_SECONDS = 20.0
FIRST_PAUSE_MS = 30_000
LONGEST_PAUSE_MS = 3_600_000
KEPT_MS = 24 * 3_600_000
"""A message that could not be sent for a day is dropped: the link in it has long expired."""
FOLDER = "mail"
"""Name of the folder in the data folder that takes messages when there is no mail server."""
_CONTEXT = "outgoing mail"

logger = structlog.get_logger(__name__)


class OutgoingMailRow(Base):
    """A message that waits to be sent."""

    __tablename__ = "outgoing_mail"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    sealed: Mapped[bytes] = mapped_column(Bytes)
    attempts: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[int] = mapped_column(Milliseconds)
    next_attempt_at: Mapped[int] = mapped_column(Milliseconds, index=True)


def queue_mail(session: Session, services: Services, *, to: str, subject: str, text: str) -> None:
    """Add a plain-text message in the session's transaction; it is sent when that is committed.

    to: one address, checked when the account was made. subject: one line.
    """
    message = EmailMessage()
    message["From"] = services.settings.effective_mail_from
    message["To"] = to
    message["Subject"] = " ".join(subject.split())
    message["Date"] = format_datetime(now())
    message["Message-ID"] = make_msgid(domain=parseaddr(services.settings.effective_mail_from)[1].partition("@")[2])
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office answers, please
    message.set_content(text)
    at = now_ms()
    sealed = services.sealer.seal(message.as_bytes(policy=SMTP), _CONTEXT)
    session.add(OutgoingMailRow(sealed=sealed, attempts=0, created_at=at, next_attempt_at=at))


def send_waiting_mail(services: Services) -> int:
    """Send what is due, one message a transaction; gives how many went out."""
    sent = 0
    with Session(services.engine) as session:
        due = session.scalars(
            select(OutgoingMailRow.id).where(OutgoingMailRow.next_attempt_at <= now_ms()).order_by(OutgoingMailRow.id)
        ).all()
    for number in due:
        with Session(services.engine) as session:
            row = session.get(OutgoingMailRow, number)
        if row is not None:
            sent += _send_one(services, row)
    return sent


def mail_waiting_for(connection: Connection, services: Services, address: str) -> dict[int, bytes]:
    """The messages to one address that wait, by number: few wait, and each is opened to see whose it is."""
    rows = connection.execute(select(OutgoingMailRow.id, OutgoingMailRow.sealed))
    opened = {number: services.sealer.open(bytes(sealed), _CONTEXT) for number, sealed in rows}
    return {number: data for number, data in opened.items() if _recipient(data) == address}


def mail_being_sent(services: Services) -> AbstractContextManager[None]:
    """Send messages on a thread of its own while the context lasts: a mail server may be slow."""
    return regularly("mail", lambda _stopping: send_waiting_mail(services), seconds=ROUND_SECONDS, stop_seconds=None)


def _send_one(services: Services, row: OutgoingMailRow) -> bool:
    try:
        data = services.sealer.open(row.sealed, _CONTEXT)
        if services.settings.mail_server:
            _hand_over(services.settings, data)
        else:
            _write(services.settings.data_dir / FOLDER, row.id, data)
    except (OSError, smtplib.SMTPException, SealError, ValueError) as error:
        # ValueError: an address that SMTP can not say. What is wrong with one message must not keep the others back.
        # Neither the address nor the server's words: both may hold what belongs to a person.
        logger.warning("mail not sent", number=row.id, attempts=row.attempts + 1, error=type(error).__name__)
        _try_later(services, row.id)
        return False
    with write_session(services.engine) as session:
        # A kill before this line sends the message twice; the other order would lose it.
        found = session.get(OutgoingMailRow, row.id)
        if found is not None:
            session.delete(found)
    return True


def _try_later(services: Services, number: int) -> None:
    with write_session(services.engine) as session:
        row = session.get(OutgoingMailRow, number)
        if row is None:
            return
        if now_ms() - row.created_at > KEPT_MS:
            logger.error("mail dropped after a day", number=number, attempts=row.attempts + 1)
            session.delete(row)
            return
        row.next_attempt_at = now_ms() + min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2**row.attempts)
        row.attempts += 1


def _hand_over(settings: Settings, data: bytes) -> None:
    server = urlsplit(settings.mail_server)
    context = ssl.create_default_context()
    host = server.hostname or ""
    port = server.port or (465 if server.scheme == "smtps" else 25)
    connection: smtplib.SMTP
    if server.scheme == "smtps":
        connection = smtplib.SMTP_SSL(host, port, timeout=TIMEOUT_SECONDS, context=context)
    else:
        connection = smtplib.SMTP(host, port, timeout=TIMEOUT_SECONDS)
    with connection:
        if server.scheme == "smtp+starttls":
            connection.starttls(context=context)
        if server.username:
            connection.login(unquote(server.username), unquote(server.password or ""))
        recipient = _recipient(data)
        connection.sendmail(parseaddr(settings.effective_mail_from)[1], [recipient], data)


def _recipient(data: bytes) -> str:
    from email import message_from_bytes  # noqa: PLC0415  only where something is sent
    from email.policy import default  # noqa: PLC0415

    return parseaddr(str(message_from_bytes(data, policy=default)["To"]))[1]


def _write(folder: Path, number: int, data: bytes) -> None:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder / f"{number:08}.eml"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
    logger.info("mail written, no mail server is set", path=str(path))
