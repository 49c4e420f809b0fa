"""Requests that this service makes to addresses which others wrote down: never into a network that is not the world.

A name is resolved once, every address it stands for is checked, and the connection goes to a checked one: a name that
answers otherwise the second time (DNS rebinding) gains nothing. No redirect is followed, no proxy of the environment
is used, one deadline holds for all of it, and of the answer no more than 64 kB are read.
"""

import http.client
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from app.core.errors import Invalid

PORTS = frozenset({443, 8443})
"""Ports that may be asked: those of HTTPS. Every other service of a host has its own language and its own owner."""
MAX_URL = 500
MAX_ANSWER = 64 * 1024
DEADLINE_SECONDS = 10.0
"""For resolving, connecting, the TLS handshake, sending, and the whole answer together."""

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolver = Callable[[str, int], Sequence[str]]
"""Gives the addresses of a host name (and port) as text; raises OSError."""

_REFUSED = tuple(
    ipaddress.ip_network(text)
    for text in (
        "0.0.0.0/8",  # this host (RFC 1122)
        "10.0.0.0/8",
        "100.64.0.0/10",  # behind a carrier's NAT (RFC 6598)
        "127.0.0.0/8",
        "169.254.0.0/16",  # link-local: also where clouds keep their metadata
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",  # reserved, and 255.255.255.255
        "2001::/23",  # Teredo and other protocol assignments
        "2001:db8::/32",
        "2002::/16",  # 6to4: carries any IPv4 address
        "3fff::/20",
    )
)
_WORLD_6 = ipaddress.ip_network("2000::/3")
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


class OutboundFailed(Exception):
    """A request that was not made, or had no answer.

    `code` is stable: ``address_refused``, ``not_resolved``, ``unreachable``, ``tls``, ``timeout`` or ``bad_answer``.
    The message holds nothing that the other side said.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class OutboundAnswer:
    """What came back. body: at most `MAX_ANSWER` bytes; retry_after: seconds, where the header holds a number."""

    status: int
    body: bytes
    retry_after: int | None = None


def check_url(url: str, *, allow_private: bool = False) -> SplitResult:
    """Give the parts of an address that may be written to; raises Invalid with what to change.

    allow_private: HTTP and any port will do, for tests and for networks that are all one's own.
    """
    fault = _fault(url, allow_private=allow_private)
    if fault is not None:
        raise Invalid(
            fault,
            code="address_refused",
            fix="Use https://, a host name of the public Internet, and port 443 or 8443.",
        )
    return urlsplit(url)


def post(
    url: str,
    body: bytes,
    headers: Mapping[str, str],
    *,
    allow_private: bool = False,
    deadline: float = DEADLINE_SECONDS,
    resolve: Resolver | None = None,
    context: ssl.SSLContext | None = None,
) -> OutboundAnswer:
    """Send `body` and give the answer, whatever its status; raises OutboundFailed, or Invalid for a refused address.

    deadline: seconds for everything. resolve and context stand in for the system's resolver and trusted roots in tests.
    """
    parts = check_url(url, allow_private=allow_private)
    host = parts.hostname or ""
    port = parts.port or (443 if parts.scheme == "https" else 80)
    ends_at = time.monotonic() + deadline
    addresses = _resolved(resolve or system_resolver, host, port, ends_at)
    for text in addresses:
        # All of them, not only the one that is used: a name that also stands for an inner address is nobody's friend.
        why = None if allow_private else refusal(ipaddress.ip_address(text))
        if why is not None:
            raise OutboundFailed("address_refused", f"the host's address is {why}")
    connection = _connected(addresses, port, ends_at)
    if parts.scheme == "https":
        context = context or ssl.create_default_context()
        # The handshake comes later, when the guard holds the socket that makes it.
        connection = context.wrap_socket(connection, server_hostname=host, do_handshake_on_connect=False)
    guard = threading.Timer(max(0.0, ends_at - time.monotonic()), _cut, [connection])
    guard.daemon = True
    guard.start()
    try:
        if isinstance(connection, ssl.SSLSocket):
            connection.do_handshake()
        answer = _asked(connection, parts, body, headers)
        if time.monotonic() >= ends_at:  # cut off, and so perhaps not whole
            raise TimeoutError
    except ssl.SSLError as error:
        raise OutboundFailed(*_late(ends_at, "tls", "the TLS handshake failed")) from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise OutboundFailed(*_late(ends_at, "bad_answer", "the connection ended without a full answer")) from error
    finally:
        guard.cancel()
        connection.close()
    return answer


def refusal(address: Address) -> str | None:
    """Say why an address is not written to; None for an address of the public Internet."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return refusal(address.ipv4_mapped)
        if address in _NAT64:  # RFC 6052: how IPv6-only networks reach IPv4; judged by what it stands for
            return refusal(ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF))
        if address not in _WORLD_6:
            return "not one of the public Internet"
    for network in _REFUSED:
        if address.version == network.version and address in network:
            return f"in {network}, which is not the public Internet"
    return None


def system_resolver(host: str, port: int) -> Sequence[str]:
    """Ask the system for the addresses of a name."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def _mark(sentence: str) -> str:
    """Mark a sentence for translation."""
    return sentence


def _fault(url: str, *, allow_private: bool) -> str | None:
    if len(url) > MAX_URL or not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        return _mark("The address has at most 500 visible ASCII characters.")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return _mark("The address can not be read.")
    if parts.scheme != "https" and not (allow_private and parts.scheme == "http"):
        return _mark("The address must begin with https://.")
    if not host or parts.username is not None or parts.password is not None or parts.fragment:
        return _mark("The address needs a host, and has no name, password or # in it.")
    if not allow_private and port is not None and port not in PORTS:
        return _mark("The address has port 443 or 8443.")
    return None if allow_private else _host_fault(host)


def _host_fault(host: str) -> str | None:
    try:
        why = refusal(ipaddress.ip_address(host))
    except ValueError:
        pass
    else:
        return None if why is None else _mark("The host of the address is not one of the public Internet.")
    if "." not in host.strip(".") or host.rpartition(".")[2].isdigit():
        # Numbers in other spellings (0x7f.1, 2130706433) are addresses to some resolvers; a name ends in letters.
        return _mark("The host of the address must be a full name.")
    if host.endswith((".localhost", ".local", ".internal", ".home.arpa")):
        return _mark("The host of the address is a name of an inner network.")
    return None


def _resolved(resolve: Resolver, host: str, port: int, ends_at: float) -> Sequence[str]:
    """Ask on a thread of its own: the system's resolver knows no deadline."""
    found: list[Sequence[str]] = []

    def ask() -> None:
        try:
            # A scope (fe80::1%eth0) is cut off: the address is refused or not, whatever link it is on.
            found.append([text.partition("%")[0] for text in resolve(host, port)])
        except (OSError, UnicodeError):
            found.append([])

    thread = threading.Thread(target=ask, name="resolve", daemon=True)
    thread.start()
    thread.join(max(0.0, ends_at - time.monotonic()))
    if not found:
        raise OutboundFailed("timeout", "the host's name was not resolved in time")
    if not found[0]:
        raise OutboundFailed("not_resolved", "the host's name stands for no address")
    return found[0]


def _connected(addresses: Sequence[str], port: int, ends_at: float) -> socket.socket:
    for text in addresses:
        left = ends_at - time.monotonic()
        if left <= 0:
            break
        try:
            return socket.create_connection((text, port), timeout=left)
        except OSError:
            continue
    raise OutboundFailed(*_late(ends_at, "unreachable", "nobody took the connection"))


def _asked(connection: socket.socket, parts: SplitResult, body: bytes, headers: Mapping[str, str]) -> OutboundAnswer:
    asking = http.client.HTTPConnection(parts.hostname or "", parts.port)
    asking.sock = connection
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    host = parts.netloc.rpartition("@")[2]
    asking.request("POST", target, body, {"Host": host, "Connection": "close", **headers})
    answer = asking.getresponse()
    content = answer.read(MAX_ANSWER)
    after = answer.headers.get("Retry-After", "")
    return OutboundAnswer(answer.status, content, int(after) if after.isdecimal() and len(after) <= 6 else None)


def _late(ends_at: float, code: str, message: str) -> tuple[str, str]:
    """Name the cause: the deadline, when it has passed, whatever it looked like from inside."""
    return ("timeout", "there was no full answer in time") if time.monotonic() >= ends_at else (code, message)


def _cut(connection: socket.socket) -> None:
    """End a connection from outside: a reader that waits for the next byte wakes up, however slowly they drip."""
    with suppress(OSError):  # it has ended already
        connection.shutdown(socket.SHUT_RDWR)
