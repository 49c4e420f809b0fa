"""Proofs about the log itself: that one state extends another, and that an entry is in it."""

from functools import lru_cache

from app.core.errors import NotFound
from app.core.services import Services
from app.transparency.parts import log_files
from ledger.proof import format_proof
from ledger.strict import encode_base64

CACHED_PROOFS = 4_096
"""Consistency proofs kept in memory, about 1 KiB each."""


def consistency(services: Services, old_size: int, new_size: int) -> list[str]:
    """Give the consistency path (RFC 9162 section 2.1.4) between two sizes, each hash in base64.

    Raises NotFound beyond the published checkpoint, and for sizes out of order.
    """
    if not 0 <= old_size <= new_size or not log_files(services).covers(new_size):
        raise NotFound("The published ledger has no such sizes.")
    return consistency_texts(services, old_size, new_size)


def consistency_texts(services: Services, old_size: int, new_size: int) -> list[str]:
    """Give the same for sizes that are known to be in order and covered."""
    found: _Paths | None = services.features.get(_Paths)
    if found is None:
        found = services.features.setdefault(_Paths, _Paths(services))
    return found.path(old_size, new_size)


class _Paths:
    """Paths built before: many devices ask for the same ones within a second."""

    def __init__(self, services: Services) -> None:
        def build(old_size: int, new_size: int) -> list[str]:
            return [encode_base64(step) for step in services.log.consistency_path(old_size, new_size)]

        self.path = lru_cache(CACHED_PROOFS)(build)


def leaf_proof(services: Services, index: int) -> str:
    """Give the tlog-proof text of an entry under a published checkpoint, with the witnesses' cosignatures it has.

    Raises NotFound when no published checkpoint covers the entry.
    """
    if not log_files(services).covers(index + 1):
        raise NotFound("The published ledger has no such entry.")
    signed = services.checkpoints.covering(index + 1).signed
    return format_proof(index, services.log.inclusion_path(index, signed.checkpoint.size), signed.note_text)
