"""Which store of scans goes with which database."""

from sqlalchemy import Engine

from app.core.config import Settings
from app.facts.scans.postgresql import PostgresqlScanStore
from app.facts.scans.sqlite import SqliteScanStore


def open_scan_store(settings: Settings, engine: Engine) -> SqliteScanStore | PostgresqlScanStore:
    """Open the store that fits the database, as durable as the setting `scan_durability` says."""
    power_safe = settings.scan_durability == "power"
    if engine.dialect.name == "sqlite":
        return SqliteScanStore(settings.scans_dir, power_safe=power_safe)
    return PostgresqlScanStore(engine, power_safe=power_safe)
