"""From settings to the parts that live as long as the process; and the database's schema version."""

from collections.abc import Mapping
from pathlib import Path

import structlog
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, select

from app.core.checkpoint_keys import CheckpointKeys
from app.core.config import Settings
from app.core.database import create_database_engine, write_session
from app.core.resealing import open_sealer
from app.core.sealing import Sealer
from app.core.service_keys import KeyPurpose, ServiceKey, load_service_keys
from app.core.services import Services
from app.core.witnesses import load_policy
from ledger.checkpoint import read_unverified_checkpoint
from ledger.cli import LedgerContext
from ledger.log import Log
from ledger.mark.high_water import HighWaterMark, MarkState
from ledger.note import NoteSigner
from ledger.own import StatementSigner
from ledger.storage.engine import begin_write
from ledger.storage.roles import grant_runtime
from ledger.storage.sql import SqlLogStorage
from ledger.storage.tables import ledger_checkpoints
from ledger.witnessing.cosigned import CosignedCheckpoints

logger = structlog.get_logger(__name__)

MIGRATIONS = Path(__file__).parent.parent / "migrations"


class SchemaOutdated(RuntimeError):
    """The database has another schema version than this program."""


class OriginChanged(RuntimeError):
    """The ledger in the database has another name than the settings give it."""


def alembic_config(engine: Engine) -> Config:
    """Alembic's configuration for an open engine; no file of its own is needed."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["engine"] = engine
    return config


def migrate(settings: Settings) -> None:
    """Bring the database to this program's schema."""
    if not settings.database_url:
        settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    engine = create_database_engine(settings.effective_database_url)
    try:
        _refuse_unknown_revision(engine)
        command.upgrade(alembic_config(engine), "head")
    finally:
        engine.dispose()


def grant_to_runtime(settings: Settings, role: str) -> None:
    """Give a role of PostgreSQL the rights to serve and no more; raises RoleRefused."""
    engine = create_database_engine(settings.effective_database_url)
    try:
        with begin_write(engine) as connection:
            grant_runtime(connection, role)
    finally:
        engine.dispose()


def check_schema(engine: Engine) -> None:
    """Refuse to serve on a database of another version; raises SchemaOutdated."""
    wanted = ScriptDirectory(str(MIGRATIONS)).get_current_head()
    found = _refuse_unknown_revision(engine)
    if found != wanted:
        raise SchemaOutdated(f"the database is at version {found}, this program needs {wanted}: run `marchamo migrate`")


def _refuse_unknown_revision(engine: Engine) -> str | None:
    """Give the database's revision; raises SchemaOutdated when this program has never heard of it."""
    with engine.connect() as connection:
        found = MigrationContext.configure(connection).get_current_revision()
    if found is not None and found not in {
        script.revision for script in ScriptDirectory(str(MIGRATIONS)).walk_revisions()
    }:
        raise SchemaOutdated(
            f"the database is at version {found}, which this program does not know: it was made by a newer program, or "
            "before the first release; use the program that made it, or begin with a new database"
        )
    return found


def check_database(settings: Settings) -> None:
    """Refuse to start on a database of another version or another log, or with a witness policy that cannot be used.

    Raises SchemaOutdated, OriginChanged or PolicyError.
    """
    load_policy(settings)
    engine = create_database_engine(settings.effective_database_url)
    try:
        check_schema(engine)
        _check_origin(engine, settings.effective_log_origin)
    finally:
        engine.dispose()


def open_services(settings: Settings) -> Services:
    """Open database, keys and log; the registry's keys are made when they are missing."""
    policy = load_policy(settings)
    engine, sealer, keys = _open_database_and_keys(settings)
    try:
        _check_origin(engine, settings.effective_log_origin)
        origin = settings.effective_log_origin
        checkpoint_keys = CheckpointKeys(engine, sealer, origin)
        log = Log.open(
            engine,
            origin=origin,
            signer=_log_signer(settings, keys),
            signers=checkpoint_keys.signers,
            high_water=_high_water(settings),
        )
        finding = log.finding()
        if finding is not None and finding.state is not MarkState.OK:
            logger.warning("the ledger takes no entries", state=finding.state.value, reason=finding.message)
    except BaseException:
        engine.dispose()
        raise
    return Services(
        settings=settings,
        engine=engine,
        sealer=sealer,
        keys=keys,
        checkpoint_keys=checkpoint_keys,
        log=log,
        checkpoints=CosignedCheckpoints(log, SqlLogStorage(engine), policy),
    )


def open_ledger(settings: Settings) -> LedgerContext:
    """Open what the ledger's commands need. The log itself stays closed: a damaged one must still be audited."""
    engine, sealer, keys = _open_database_and_keys(settings)
    statement = keys[KeyPurpose.STATEMENT]
    return LedgerContext(
        engine,
        settings.effective_log_origin,
        _log_signer(settings, keys),
        StatementSigner(statement.key_id, statement.private_key),
        keeper=CheckpointKeys(engine, sealer, settings.effective_log_origin),
        high_water=_high_water(settings),
        policy=load_policy(settings),
    )


def _open_database_and_keys(settings: Settings) -> tuple[Engine, Sealer, Mapping[KeyPurpose, ServiceKey]]:
    engine = create_database_engine(settings.effective_database_url)
    try:
        check_schema(engine)
        sealer = open_sealer(engine, settings)
        with write_session(engine) as session:
            keys = load_service_keys(session, sealer)
    except BaseException:
        engine.dispose()
        raise
    return engine, sealer, keys


def _check_origin(engine: Engine, origin: str) -> None:
    """A log keeps its name for ever: those who hold its verifier key know it by that name."""
    with engine.connect() as connection:
        latest = select(ledger_checkpoints.c.note).order_by(ledger_checkpoints.c.size.desc()).limit(1)
        note = connection.execute(latest).scalar()
    known = origin if note is None else read_unverified_checkpoint(note).origin
    if known != origin:
        raise OriginChanged(
            f"the ledger in this database is called {known}, these settings call it {origin}: "
            f"set MARCHAMO_LOG_ORIGIN={known} when MARCHAMO_PUBLIC_URL changes"
        )


def _high_water(settings: Settings) -> HighWaterMark:
    return HighWaterMark(settings.effective_high_water_file, origin=settings.effective_log_origin)


def _log_signer(settings: Settings, keys: Mapping[KeyPurpose, ServiceKey]) -> NoteSigner:
    return NoteSigner(settings.effective_log_origin, keys[KeyPurpose.CHECKPOINT].private_key)
