"""The parts of verification that live as long as the process."""

from dataclasses import dataclass

from app.core.daily_salts import DailySalts, daily_salts
from app.core.services import Services
from app.verification.desk import Desk, open_desk
from app.verification.limits import close_limits


@dataclass(frozen=True, slots=True)
class Parts:
    """The desk, the hosts whose codes are ours, and the salts that make pseudonyms of the public's devices."""

    desk: Desk
    hosts: frozenset[str]
    salts: DailySalts


def parts(services: Services) -> Parts:
    """Give the parts of these services, made at first use."""
    found: Parts | None = services.features.get(Parts)
    if found is None:
        found = services.features[Parts] = Parts(
            open_desk(services), services.settings.code_hosts, daily_salts(services)
        )
    return found


def close_parts(services: Services) -> None:
    """Close what verification holds open; for the end of a process or a test."""
    close_limits(services)
    found: Parts | None = services.features.pop(Parts, None)
    if found is not None:
        found.desk.close()
