"""The machines that this process looked up a moment ago: their next calls cost one look into a dictionary."""

import time
from threading import Lock

from app.core.authorisation import Principal

CACHE_SECONDS = 5.0
"""How long a process trusts what it looked up: the longest a revoked machine may still work. Documented in the API."""
CACHE_ENTRIES = 4096

_cache: dict[bytes, tuple[float, Principal]] = {}
_lock = Lock()


def remember(digest: bytes, principal: Principal) -> None:
    """Trust this credential, named by its hash, for `CACHE_SECONDS`."""
    with _lock:
        if len(_cache) >= CACHE_ENTRIES:
            _cache.clear()
        _cache[digest] = (time.monotonic() + CACHE_SECONDS, principal)


def remembered(digest: bytes) -> Principal | None:
    """The machine behind a credential that is still trusted."""
    known = _cache.get(digest)
    return known[1] if known is not None and known[0] > time.monotonic() else None


def forget_machine(machine: str) -> None:
    """Stop trusting a machine in this process at once; machine: its name in records, such as ``api-key:3``."""
    with _lock:
        for digest in [digest for digest, (_, principal) in _cache.items() if principal.machine == machine]:
            del _cache[digest]
