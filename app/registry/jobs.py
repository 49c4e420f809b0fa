"""What this feature gives to the worker: the handlers of its jobs, and the sweep at its start."""

import structlog

from app.core.jobs import Handler
from app.core.services import Services
from app.registry.service.commission import commission_handler, sweep_leftovers
from app.registry.service.labels import labels_handler
from app.registry.vocabulary import JobKind

logger = structlog.get_logger(__name__)


def job_handlers(services: Services) -> dict[str, Handler]:
    """The handler of each kind of job."""
    return {
        JobKind.COMMISSION.value: commission_handler(services),
        JobKind.LABELS.value: labels_handler(services),
    }


def sweep(services: Services) -> None:
    """Remove what attempts left whose worker died and whose job will not run again by itself."""
    swept = sweep_leftovers(services)
    if swept:
        logger.warning("swept unpublished batches", count=swept)
