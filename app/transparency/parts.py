"""What of this feature lives as long as the process."""

from app.core.services import Services
from ledger.log_files import LogFiles
from ledger.map.files import MapFiles


def log_files(services: Services) -> LogFiles:
    """Give the reader of the log's files, made at first use."""
    found: LogFiles | None = services.features.get(LogFiles)
    if found is None:
        found = services.features.setdefault(LogFiles, LogFiles(services.log, services.checkpoints))
    return found


def map_files(services: Services) -> MapFiles:
    """Give the reader of the subject map's public statements."""
    return MapFiles(services.log, services.engine)
