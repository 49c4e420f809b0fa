"""What is kept of a browser and where it was: coarse on purpose, enough for a person to recognise an own visit."""

import ipaddress
from dataclasses import dataclass

UNKNOWN = "unknown"

_FAMILIES = (
    # Order matters: Edge and Opera also call themselves Chrome, and Chrome calls itself Safari.
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser", "Samsung Internet"),
    ("Firefox/", "Firefox"),
    ("FxiOS", "Firefox"),
    ("CriOS", "Chrome"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
)
_SYSTEMS = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
)


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who knocks, before it is known who that is: the network address for the brakes, the rest for the history.

    address: as it is counted (`app.core.networks`); never stored as it is. browser: a family and a system, such as
    ``Firefox, Android``.
    """

    address: str
    browser: str = UNKNOWN

    @property
    def place(self) -> str:
        """The network of the address: /24 of IPv4, /48 of IPv6."""
        return coarse_network(self.address)


def coarse_network(address: str) -> str:
    """The network that is kept instead of an address; ``unknown`` for what is none."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return UNKNOWN
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is not None:
        parsed = parsed.ipv4_mapped
    return str(ipaddress.ip_network((parsed, 24 if parsed.version == 4 else 48), strict=False))


def browser_family(user_agent: str) -> str:
    """Family and system from a User-Agent header, nothing that tells one browser from its likes."""
    user_agent = user_agent[:500]
    found = [next((name for mark, name in table if mark in user_agent), "") for table in (_FAMILIES, _SYSTEMS)]
    return ", ".join(name for name in found if name) or UNKNOWN
