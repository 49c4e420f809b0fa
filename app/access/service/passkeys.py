"""A person's passkeys (W3C Web Authentication, level 3): how one is added, listed and removed.

The device always verifies the person (PIN, finger, face), so a passkey alone opens the account. What kind of device it
is we do not ask (no attestation).
"""

from dataclasses import dataclass

import webauthn
from sqlalchemy import delete, select
from sqlalchemy.orm import Session
from webauthn.helpers import options_to_json, parse_registration_credential_json
from webauthn.helpers.structs import (
    AttestationConveyancePreference,
    AuthenticatorSelectionCriteria,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from app.access.models import PasskeyRow
from app.access.service.factors import tidy_after_removal
from app.access.service.history import SecurityEvent, note_event
from app.access.service.letters import Letter, send_letter
from app.access.service.passkey_challenges import (
    CHALLENGE_MS,
    MALFORMED,
    Challenge,
    Purpose,
    bounded,
    credentials_of,
    keep_challenge,
    require_party,
    take_challenge,
    user_handle,
)
from app.access.service.sessions import renewed
from app.access.visitors import Visitor
from app.accounts import service as accounts
from app.core.clock import now_ms
from app.core.database import write_session
from app.core.errors import Conflict, Invalid, NotFound
from app.core.services import Services

MAX_PASSKEYS = 20
MAX_NAME = 100
MAX_CREDENTIAL_ID = 1023  # WebAuthn, 4, "credential ID"


@dataclass(frozen=True, slots=True)
class Passkey:
    """A passkey as its person sees it."""

    id: int
    name: str
    created_at: int
    last_used_at: int | None


def list_passkeys(session: Session, *, person_id: int) -> list[Passkey]:
    """The person's passkeys, oldest first."""
    rows = session.scalars(select(PasskeyRow).where(PasskeyRow.person_id == person_id).order_by(PasskeyRow.id))
    return [Passkey(row.id, row.name, row.created_at, row.last_used_at) for row in rows]


def ask_for_new_passkey(services: Services, *, person_id: int) -> Challenge:
    """Options to make a passkey with; raises Conflict where browsers make none."""
    party = require_party(services)
    with write_session(services.engine) as session:
        person = accounts.person_by_id(session, person_id)
        options = webauthn.generate_registration_options(
            rp_id=party.id,
            rp_name=party.name,
            user_id=user_handle(services, person_id),
            user_name=person.email,
            user_display_name=person.name,
            timeout=CHALLENGE_MS,
            attestation=AttestationConveyancePreference.NONE,
            authenticator_selection=AuthenticatorSelectionCriteria(
                resident_key=ResidentKeyRequirement.REQUIRED,
                user_verification=UserVerificationRequirement.REQUIRED,
            ),
            exclude_credentials=credentials_of(session, person_id),
        )
        token = keep_challenge(session, options.challenge, Purpose.ADD, person_id)
    return Challenge(options_to_json(options), token)


def add_passkey(
    services: Services,
    *,
    person_id: int,
    token: str,
    challenge_token: str,
    credential: str,
    name: str,
    visitor: Visitor,
) -> str:
    """Add the passkey that a browser has made, and give the new token of the person's session.

    credential: what the browser says of it (JSON of WebAuthn's RegistrationResponseJSON). Raises Invalid, Conflict.
    """
    party = require_party(services)
    name = " ".join(name.split())
    if not 1 <= len(name) <= MAX_NAME or not name.isprintable():
        raise Invalid("The passkey needs a name of 1 to 100 characters.", code="passkey_name")
    challenge = take_challenge(services, challenge_token, Purpose.ADD, person_id)
    try:
        made = webauthn.verify_registration_response(
            credential=parse_registration_credential_json(bounded(credential)),
            expected_challenge=challenge,
            expected_rp_id=party.id,
            expected_origin=party.origin,
            require_user_verification=True,
        )
    except MALFORMED:
        raise Invalid("The browser's answer about the passkey does not fit.", code="passkey_refused") from None
    if len(made.credential_id) > MAX_CREDENTIAL_ID:
        raise Invalid("The browser's answer about the passkey does not fit.", code="passkey_refused")
    with write_session(services.engine) as session:
        known = session.scalar(select(PasskeyRow.id).where(PasskeyRow.credential_id == made.credential_id))
        if known is not None:
            raise Conflict("This passkey is known already.", code="passkey_known")
        if len(list_passkeys(session, person_id=person_id)) >= MAX_PASSKEYS:
            raise Conflict("There are 20 passkeys. Remove one first.", code="too_many_passkeys")
        session.add(
            PasskeyRow(
                person_id=person_id,
                credential_id=made.credential_id,
                public_key=made.credential_public_key,
                sign_count=made.sign_count,
                name=name,
                created_at=now_ms(),
                last_used_at=None,
            )
        )
        note_event(session, person_id=person_id, kind=SecurityEvent.PASSKEY_ADDED, visitor=visitor)
        send_letter(session, services, Letter.PASSKEY_ADDED, person_id=person_id, name=name)
        return renewed(session, token, strong=True)


def remove_passkey(services: Services, *, person_id: int, passkey_id: int, visitor: Visitor) -> None:
    """Remove one of the person's passkeys, and tell its person by mail; raises NotFound."""
    with write_session(services.engine) as session:
        removed = session.scalars(
            delete(PasskeyRow)
            .where(PasskeyRow.person_id == person_id, PasskeyRow.id == passkey_id)
            .returning(PasskeyRow.id)
        ).all()
        if not removed:
            raise NotFound
        note_event(session, person_id=person_id, kind=SecurityEvent.PASSKEY_REMOVED, visitor=visitor)
        send_letter(session, services, Letter.FACTOR_REMOVED, person_id=person_id)
        tidy_after_removal(session, person_id=person_id)
