"""Challenges for passkeys (WebAuthn, 13.4.3), and what every use of a passkey needs besides.

A challenge lives five minutes, belongs to one browser, one purpose and, where that is known, one person; it is gone
with the first answer, right or wrong.
"""

import hashlib
import hmac
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import delete, select
from sqlalchemy.orm import Session
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import PublicKeyCredentialDescriptor

from app.access.models import PasskeyChallengeRow, PasskeyRow
from app.access.relying_party import RelyingParty, relying_party
from app.core.clock import now_ms
from app.core.database import write_session
from app.core.errors import Conflict
from app.core.services import Services
from app.core.tokens import new_token, token_hash

CHALLENGE_MS = 5 * 60 * 1000
MAX_CREDENTIAL = 16_384
"""Characters of what a browser sends about a passkey: a few hundred without attestation."""

MALFORMED = (WebAuthnException, ValueError, KeyError, TypeError, AttributeError, RecursionError)
"""What the library raises for an answer that is none; its parsers pass on what they stumble over."""


class Purpose(StrEnum):
    """What a challenge is answered for."""

    ADD = "add"
    SIGN_IN = "sign_in"
    SECOND_STEP = "second_step"
    CONFIRM = "confirm"


@dataclass(frozen=True, slots=True)
class Challenge:
    """What a browser needs to ask a passkey: the options as JSON, and the token with which it answers."""

    options: str
    token: str


def keep_challenge(session: Session, challenge: bytes, purpose: Purpose, person_id: int | None) -> str:
    """Keep a challenge in the session's transaction; gives the token with which the browser answers it."""
    token, now = new_token(), now_ms()
    session.execute(delete(PasskeyChallengeRow).where(PasskeyChallengeRow.expires_at <= now))
    session.add(
        PasskeyChallengeRow(
            token_hash=token_hash(token),
            challenge=challenge,
            purpose=purpose.value,
            person_id=person_id,
            expires_at=now + CHALLENGE_MS,
        )
    )
    return token


def take_challenge(services: Services, token: str, purpose: Purpose, person_id: int | None) -> bytes:
    """Take the challenge of this browser away and give it; raises Conflict when there is none for this purpose."""
    with write_session(services.engine) as session:
        taken = session.execute(
            delete(PasskeyChallengeRow)
            .where(PasskeyChallengeRow.token_hash == token_hash(token))
            .returning(
                PasskeyChallengeRow.challenge,
                PasskeyChallengeRow.purpose,
                PasskeyChallengeRow.person_id,
                PasskeyChallengeRow.expires_at,
            )
        ).first()
    if taken is None or taken.expires_at <= now_ms() or taken.purpose != purpose or taken.person_id != person_id:
        raise Conflict("The question to the passkey is over. Try again.", code="challenge_over")
    return bytes(taken.challenge)


def credentials_of(session: Session, person_id: int) -> list[PublicKeyCredentialDescriptor]:
    """The person's passkeys, as options name them."""
    rows = session.scalars(select(PasskeyRow.credential_id).where(PasskeyRow.person_id == person_id))
    return [PublicKeyCredentialDescriptor(id=credential_id) for credential_id in rows]


def user_handle(services: Services, person_id: int) -> bytes:
    """The person's number as devices keep it: tells nothing (WebAuthn, 14.6.1), and is the same for all passkeys."""
    return hmac.digest(services.sealer.derive("passkey user handle"), str(person_id).encode(), hashlib.sha256)


def require_party(services: Services) -> RelyingParty:
    """The registry as relying party; raises Conflict where browsers make no passkeys."""
    party = relying_party(services.settings)
    if party is None:
        raise Conflict(
            "Passkeys need this registry to be at a name with TLS, or at localhost.", code="passkeys_not_possible"
        )
    return party


def bounded(credential: str) -> str:
    """What a browser sent, if it can be an answer at all; raises ValueError."""
    if len(credential) > MAX_CREDENTIAL:
        raise ValueError("longer than any answer about a passkey")
    return credential
