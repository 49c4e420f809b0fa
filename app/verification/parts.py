"""The parts of verification that live as long as the process."""

from dataclasses import dataclass

from app.core.services import Services
from app.verification.desk import Desk, open_desk


@dataclass(frozen=True, slots=True)
class Parts:
    """The desk, the hosts whose codes are ours, and the secret that makes pseudonyms of the public's devices."""

    desk: Desk
    hosts: frozenset[str]
    device_secret: bytes


def parts(services: Services) -> Parts:
    """Give the parts of these services, made at first use."""
    found: Parts | None = services.features.get(Parts)
    if found is None:
        found = services.features[Parts] = Parts(
            open_desk(services), services.settings.code_hosts, services.sealer.derive("devices of the public")
        )
    return found


def close_parts(services: Services) -> None:
    """Close what verification holds open; for the end of a process or a test."""
    found: Parts | None = services.features.pop(Parts, None)
    if found is not None:
        found.desk.close()
