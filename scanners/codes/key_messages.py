"""What a firm signs with its own code key besides codes: that it holds the key, and that a batch has no more units.

Each message begins with a domain of its own, so that none can pass for another or for a code.
"""

from ledger.errors import FormatError

POSSESSION_DOMAIN = b"marchamo key possession v1\n"
SEAL_DOMAIN = b"marchamo batch seal v1\n"
ROOT_SIZE = 32


def possession_message(*, key_id: int, issuer: str, purpose: str, public_key: bytes) -> bytes:
    """Give what a new key signs to prove that its owner holds it; ``possession`` of its registration on the ledger.

    Domain, key id (4 bytes, big endian), public key (32 bytes), issuer, a line feed and the purpose ("code").
    """
    return POSSESSION_DOMAIN + key_id.to_bytes(4, "big") + public_key + f"{issuer}\n{purpose}".encode("ascii")


def seal_message(*, key_id: int, root: bytes, count: int) -> bytes:
    """Give what a firm signs to close a batch: domain, key id (4 bytes), root of its tree (32), units (8, big endian).

    Whoever takes over the service cannot add a unit to the batch: the root and the count would be others.
    """
    if len(root) != ROOT_SIZE:
        raise FormatError(f"the root of a batch has {ROOT_SIZE} bytes")
    return SEAL_DOMAIN + key_id.to_bytes(4, "big") + root + count.to_bytes(8, "big")
