"""What devices signed, as evidence: found by the digest that a scan keeps of it, and let go when its time is over."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from sqlalchemy import Connection, Engine, select, update

from app.core.database import write_session
from app.devices.models import DeviceConflictRow, DeviceRow, DeviceStatementRow
from app.devices.values import Standing

CHUNK = 400
"""Digests of one query; below the databases' limits on parameters."""
FORGOTTEN_AT_ONCE = 200


@dataclass(frozen=True, slots=True)
class KeptStatement:
    """A signed scan as it was kept; token: None when its time was over and it was let go."""

    device_id: str
    public_key: Ed25519PublicKey
    standing: Standing
    token: str | None


def kept_statements(connection: Connection, digests: Sequence[str]) -> Mapping[str, KeptStatement]:
    """Give what was kept under these digests; those that are not known are left out."""
    table, found = DeviceStatementRow, {}
    for at in range(0, len(digests), CHUNK):
        rows = connection.execute(
            select(table.digest, table.device_id, table.standing, table.statement, DeviceRow.public_key)
            .join(DeviceRow, DeviceRow.id == table.device_id)
            .where(table.digest.in_(digests[at : at + CHUNK]))
        )
        for row in rows:
            key = Ed25519PublicKey.from_public_bytes(row.public_key)
            found[row.digest] = KeptStatement(row.device_id, key, Standing(row.standing), row.statement)
    return found


def forget_statements(engine: Engine, *, before: int) -> int:
    """Let go of what devices signed that came in before (ms): code, place and what the operator saw go with it.

    Digest, number and standing stay, so that a retry is still known and no number can be used again. Works in small
    transactions; returns how many were let go.
    """
    done = 0
    for table, key in ((DeviceStatementRow, DeviceStatementRow.digest), (DeviceConflictRow, DeviceConflictRow.digest)):
        waiting = select(key).where(table.received_at < before, table.statement.is_not(None)).limit(FORGOTTEN_AT_ONCE)
        while True:
            with write_session(engine) as session:
                digests = session.scalars(waiting).all()
                session.execute(update(table).where(key.in_(digests)).values(statement=None))
            done += len(digests)
            if len(digests) < FORGOTTEN_AT_ONCE:
                break
    return done
