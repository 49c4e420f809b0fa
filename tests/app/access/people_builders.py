"""People with the factors that a test starts from."""

from __future__ import annotations

from dataclasses import dataclass

import pyotp
from sqlalchemy.orm import Session

from app.access import service as access
from app.access.models import CodeAppRow
from app.access.visitors import Visitor
from app.accounts import service as accounts
from app.core.database import write_session
from app.core.services import Services
from tests.app.access.software_authenticator import SoftwareAuthenticator
from tests.builders import PASSWORD, make_approved_firm, owner_email

HERE = Visitor("192.0.2.1", "Firefox, Linux")


@dataclass(frozen=True)
class Somebody:
    """A person and one browser in which that person is signed in."""

    email: str
    id: int
    firm: accounts.Organisation
    token: str


def somebody(services: Services) -> Somebody:
    """The owner of an approved firm, with a password and no more."""
    firm = make_approved_firm(services, prefix=None)
    email = owner_email(services, firm)
    with Session(services.engine) as session:
        person = accounts.find_person(session, email=email)
    assert person is not None
    token = access.start_session_for(services, person_id=person.id, strong=False, visitor=HERE)
    return Somebody(email, person.id, firm, token)


def with_passkey(
    services: Services, person: Somebody, device: SoftwareAuthenticator | None = None
) -> SoftwareAuthenticator:
    """The person's new passkey."""
    device = device or SoftwareAuthenticator()
    asked = access.ask_for_new_passkey(services, person_id=person.id)
    access.add_passkey(
        services,
        person_id=person.id,
        token=access.start_session_for(services, person_id=person.id),
        challenge_token=asked.token,
        credential=device.makes(asked.options),
        name="telephone",
        visitor=HERE,
    )
    return device


def with_code_app(services: Services, person: Somebody) -> pyotp.TOTP:
    """The person's new app for codes; the step of its first code is given back, so that tests need not wait."""
    secret = access.begin_code_app(services, person_id=person.id).secret
    app = pyotp.TOTP(secret)
    access.confirm_code_app(
        services,
        person_id=person.id,
        token=access.start_session_for(services, person_id=person.id),
        code=app.now(),
        visitor=HERE,
    )
    forget_last_step(services, person)
    return app


def forget_last_step(services: Services, person: Somebody) -> None:
    """As if half a minute had gone by since the last code."""
    with write_session(services.engine) as session:
        session.get_one(CodeAppRow, person.id).last_step = 0


def password_step(services: Services, person: Somebody, password: str = PASSWORD) -> str:
    """The person gives the password and owes the second step."""
    result = access.sign_in(services, email=person.email, password=password, visitor=HERE)
    assert isinstance(result, access.FactorOwed)
    return result.step


def letters_to(services: Services, email: str) -> list[str]:
    """Subjects and texts of the letters that wait to be sent to an address."""
    from email import message_from_bytes
    from email.policy import default

    from sqlalchemy import select

    from app.core.mail import OutgoingMailRow

    with Session(services.engine) as session:
        sealed = session.scalars(select(OutgoingMailRow.sealed).order_by(OutgoingMailRow.id)).all()
    messages = [message_from_bytes(services.sealer.open(row, "outgoing mail"), policy=default) for row in sealed]
    return [f"{message['Subject']}\n{message.get_content()}" for message in messages if message["To"] == email]
