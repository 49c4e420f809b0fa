"""The registry as browsers know it when they make and use passkeys (WebAuthn: the relying party)."""

import ipaddress
from dataclasses import dataclass
from urllib.parse import urlsplit

from app.core.config import Settings


@dataclass(frozen=True, slots=True)
class RelyingParty:
    """id: the host that passkeys are bound to. origin: scheme, host and port of the pages that may use them."""

    id: str
    origin: str
    name: str


def relying_party(settings: Settings) -> RelyingParty | None:
    """The relying party; None where browsers make no passkeys: at an IP address, and without TLS but on localhost.

    A domain is what WebAuthn (5.1.3, "effective domain") asks for, and it works in secure contexts only.
    """
    parts = urlsplit(settings.public_url)
    host = parts.hostname or ""
    if _is_address(host) or not (parts.scheme == "https" or host == "localhost" or host.endswith(".localhost")):
        return None
    return RelyingParty(id=host, origin=f"{parts.scheme}://{parts.netloc.lower()}", name=settings.registry_name)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
