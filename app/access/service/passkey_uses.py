"""What a passkey opens: a session without a password, the second step after one, and a confirmation."""

import webauthn
from sqlalchemy import select, update
from sqlalchemy.orm import Session
from webauthn.helpers import options_to_json, parse_authentication_credential_json
from webauthn.helpers.structs import UserVerificationRequirement

from app.access.models import PasskeyRow
from app.access.service.history import SecurityEvent, note_event, note_failure
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
from app.access.service.resets import refuse_reset_of
from app.access.service.sessions import new_session, renewed
from app.access.service.signing_in import finish_step, second_step
from app.access.visitors import Visitor
from app.core.attempts import count_attempt
from app.core.clock import now_ms
from app.core.database import write_session
from app.core.errors import NotSignedIn
from app.core.services import Services

ASKED_OF_ADDRESS = 100
"""Questions to passkeys of nobody in particular that one network address may ask for in 15 minutes."""


def ask_to_sign_in(services: Services, *, visitor: Visitor) -> Challenge:
    """Options for somebody who has not said who it is; raises TooMany, Conflict where there are no passkeys."""
    count_attempt(services, {f"passkey address:{visitor.address}": ASKED_OF_ADDRESS})
    return _ask(services, Purpose.SIGN_IN)


def ask_to_finish(services: Services, *, step: str) -> Challenge:
    """Options for the second step of a browser; raises NotSignedIn."""
    with Session(services.engine) as session:
        person_id = second_step(session, step=step).person_id
    return _ask(services, Purpose.SECOND_STEP, person_id=person_id)


def ask_to_confirm(services: Services, *, person_id: int) -> Challenge:
    """Options for a signed-in person who confirms to be there."""
    return _ask(services, Purpose.CONFIRM, person_id=person_id)


def sign_in_with_passkey(services: Services, *, challenge_token: str, credential: str, visitor: Visitor) -> str:
    """The token of a new session of whoever the passkey belongs to; raises NotSignedIn."""
    person_id = _judge(
        services, Purpose.SIGN_IN, challenge_token=challenge_token, credential=credential, visitor=visitor
    )
    with write_session(services.engine) as session:
        note_event(session, person_id=person_id, kind=SecurityEvent.SIGNED_IN_BY_PASSKEY, visitor=visitor)
        token = new_session(session, person_id=person_id, strong=True, visitor=visitor)
    refuse_reset_of(services, person_id=person_id, visitor=visitor)
    return token


def finish_with_passkey(
    services: Services, *, step: str, challenge_token: str, credential: str, visitor: Visitor
) -> str:
    """The token of a new session, for a passkey after the password; raises NotSignedIn."""
    with Session(services.engine) as session:
        person_id = second_step(session, step=step).person_id
    _judge(
        services,
        Purpose.SECOND_STEP,
        challenge_token=challenge_token,
        credential=credential,
        visitor=visitor,
        person_id=person_id,
    )
    with write_session(services.engine) as session:
        token = finish_step(session, step=step, kind=SecurityEvent.SIGNED_IN_BY_PASSKEY, visitor=visitor)
    refuse_reset_of(services, person_id=person_id, visitor=visitor)
    return token


def confirm_with_passkey(
    services: Services, *, person_id: int, token: str, challenge_token: str, credential: str, visitor: Visitor
) -> str:
    """The new token of a session whose person showed a passkey once more; raises NotSignedIn."""
    _judge(
        services,
        Purpose.CONFIRM,
        challenge_token=challenge_token,
        credential=credential,
        visitor=visitor,
        person_id=person_id,
    )
    with write_session(services.engine) as session:
        return renewed(session, token, strong=True)


def _ask(services: Services, purpose: Purpose, *, person_id: int | None = None) -> Challenge:
    """Options to use a passkey with: one of the person, or, for signing in, whichever the device offers."""
    party = require_party(services)
    with write_session(services.engine) as session:
        options = webauthn.generate_authentication_options(
            rp_id=party.id,
            timeout=CHALLENGE_MS,
            user_verification=UserVerificationRequirement.REQUIRED,
            allow_credentials=None if person_id is None else credentials_of(session, person_id),
        )
        token = keep_challenge(session, options.challenge, purpose, person_id)
    return Challenge(options_to_json(options), token)


def _judge(
    services: Services,
    purpose: Purpose,
    *,
    challenge_token: str,
    credential: str,
    visitor: Visitor,
    person_id: int | None = None,
) -> int:
    """The person whose passkey has answered (JSON of WebAuthn's AuthenticationResponseJSON).

    person_id: whose it must be, when that is known. Raises NotSignedIn, in one shape for every cause.
    """
    party = require_party(services)
    challenge = take_challenge(services, challenge_token, purpose, person_id)
    try:
        answer = parse_authentication_credential_json(bounded(credential))
    except MALFORMED:
        raise _refused() from None
    with Session(services.engine) as session:
        passkey = session.scalar(select(PasskeyRow).where(PasskeyRow.credential_id == answer.raw_id))
    if passkey is None or person_id not in (None, passkey.person_id):
        raise _refused()
    handle = answer.response.user_handle
    if (handle is None and person_id is None) or handle not in (None, user_handle(services, passkey.person_id)):
        raise _refused()
    try:
        judged = webauthn.verify_authentication_response(
            credential=answer,
            expected_challenge=challenge,
            expected_rp_id=party.id,
            expected_origin=party.origin,
            credential_public_key=passkey.public_key,
            credential_current_sign_count=0,  # compared below, where it can be told what was wrong
            require_user_verification=True,
        )
    except MALFORMED:
        _note_refusal(services, passkey.person_id, SecurityEvent.PASSKEY_REFUSED, visitor)
        raise _refused() from None
    if not _count_up(services, passkey.id, judged.new_sign_count):
        # Somebody may use a copy of the passkey (WebAuthn, 7.2 step 22): neither of the two is let in.
        _note_refusal(services, passkey.person_id, SecurityEvent.PASSKEY_COUNTER_WENT_BACK, visitor)
        raise _refused()
    return passkey.person_id


def _count_up(services: Services, passkey_id: int, count: int) -> bool:
    """Move the counter forward in one statement; devices that do not count say 0 for ever."""
    forward = PasskeyRow.sign_count < count if count else PasskeyRow.sign_count == 0
    with write_session(services.engine) as session:
        moved = session.scalars(
            update(PasskeyRow)
            .where(PasskeyRow.id == passkey_id, forward)
            .values(sign_count=count, last_used_at=now_ms())
            .returning(PasskeyRow.id)
        ).all()
    return bool(moved)


def _note_refusal(services: Services, person_id: int, kind: SecurityEvent, visitor: Visitor) -> None:
    with write_session(services.engine) as session:
        note_failure(session, person_id=person_id, kind=kind, visitor=visitor)


def _refused() -> NotSignedIn:
    return NotSignedIn("This passkey does not open an account here.", code="passkey_refused")
