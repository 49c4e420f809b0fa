"""Second factors of a person: which there are, and recovery codes that stand in for them."""

import hashlib
import hmac
import secrets
from dataclasses import dataclass

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from app.access.models import CodeAppRow, PasskeyRow, RecoveryCodeRow, SignInSessionRow
from app.access.service.history import SecurityEvent, note_event
from app.access.visitors import Visitor
from app.core.database import write_session
from app.core.errors import Conflict
from app.core.services import Services
from scanners.codes.serial import ALPHABET

RECOVERY_CODES = 10
CODE_LENGTH = 10
"""Characters of a recovery code: 50 bits, of which a guesser gets ten tries in a quarter of an hour."""

_MISREAD = str.maketrans({"O": "0", "I": "1", "L": "1"})


@dataclass(frozen=True, slots=True)
class Factors:
    """What a person can show beside the password."""

    passkeys: int
    code_app: bool
    recovery_codes: int

    @property
    def any(self) -> bool:
        """Whether the password alone does not open the account: recovery codes only stand in for another factor."""
        return self.passkeys > 0 or self.code_app


def factors_of(session: Session, *, person_id: int) -> Factors:
    """The second factors of a person."""

    def count(table: type[PasskeyRow | RecoveryCodeRow]) -> int:
        return session.scalar(select(func.count()).select_from(table).where(table.person_id == person_id)) or 0

    app = session.get(CodeAppRow, person_id, populate_existing=True)
    return Factors(count(PasskeyRow), app is not None and app.confirmed_at is not None, count(RecoveryCodeRow))


def make_recovery_codes(services: Services, *, person_id: int, visitor: Visitor) -> list[str]:
    """Ten new recovery codes, which end all earlier ones; raises Conflict without a factor to stand in for."""
    codes = ["".join(secrets.choice(ALPHABET) for _ in range(CODE_LENGTH)) for _ in range(RECOVERY_CODES)]
    with write_session(services.engine) as session:
        if not factors_of(session, person_id=person_id).any:
            raise Conflict(
                "Recovery codes stand in for a second factor, and there is none yet.", code="no_second_factor"
            )
        session.execute(delete(RecoveryCodeRow).where(RecoveryCodeRow.person_id == person_id))
        session.add_all(
            RecoveryCodeRow(code_hash=_hash(services, person_id, code), person_id=person_id) for code in codes
        )
        note_event(session, person_id=person_id, kind=SecurityEvent.RECOVERY_CODES_MADE, visitor=visitor)
    return [f"{code[:5]}-{code[5:]}" for code in codes]


def use_recovery_code(session: Session, services: Services, *, person_id: int, code: str) -> bool:
    """Whether this is a recovery code of the person; it never is again."""
    plain = "".join(code.upper().split()).replace("-", "").translate(_MISREAD)[: CODE_LENGTH + 1]
    used = session.scalars(
        delete(RecoveryCodeRow)
        .where(RecoveryCodeRow.person_id == person_id, RecoveryCodeRow.code_hash == _hash(services, person_id, plain))
        .returning(RecoveryCodeRow.person_id)
    ).all()
    return bool(used)


def remove_all_factors(session: Session, *, person_id: int) -> None:
    """Remove every second factor of a person in the session's transaction."""
    session.execute(delete(PasskeyRow).where(PasskeyRow.person_id == person_id))
    session.execute(delete(CodeAppRow).where(CodeAppRow.person_id == person_id))
    tidy_after_removal(session, person_id=person_id)


def tidy_after_removal(session: Session, *, person_id: int) -> None:
    """Where no factor is left, recovery codes stand for nothing and no session has a factor behind it."""
    if factors_of(session, person_id=person_id).any:
        return
    session.execute(delete(RecoveryCodeRow).where(RecoveryCodeRow.person_id == person_id))
    session.execute(update(SignInSessionRow).where(SignInSessionRow.person_id == person_id).values(strong=False))


def _hash(services: Services, person_id: int, code: str) -> bytes:
    """The only form in which a code is kept: 50 bits need a key that the table does not hold."""
    return hmac.digest(services.sealer.derive("recovery codes"), f"{person_id}:{code}".encode(), hashlib.sha256)
