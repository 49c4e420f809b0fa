"""RFC 6962 / RFC 9162 Merkle tree hashing and proofs over SHA-256: pure functions.

A leaf hash is SHA-256(0x00 || leaf); an inner node is SHA-256(0x01 || left || right). The two prefixes keep a leaf
from being passed off as a node (RFC 9162 section 2.1.1). Hashes are 32-byte `bytes`; sizes and indexes are integers
from 0 to 2**63 - 1. The builders here hold the whole tree in memory: they are the reference for tests and small
trees. Large trees use `ledger.tiles`.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from hmac import compare_digest

from ledger.errors import ProofError
from ledger.strict import MAX_INTEGER

HASH_SIZE = 32
LEAF_PREFIX = b"\x00"
NODE_PREFIX = b"\x01"
EMPTY_ROOT = sha256(b"").digest()
MAX_PATH_LENGTH = 64
"""No tree of at most 2**63 leaves has a longer inclusion path; a consistency path has at most one hash more."""


def leaf_hash(data: bytes) -> bytes:
    """Hash the bytes of a leaf."""
    return sha256(LEAF_PREFIX + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash two child hashes into their parent."""
    return sha256(NODE_PREFIX + left + right).digest()


def perfect_root(hashes: bytes) -> bytes:
    """Give the root over 2**n concatenated sibling hashes (n >= 0)."""
    while len(hashes) > HASH_SIZE:
        hashes = b"".join(
            [sha256(NODE_PREFIX + hashes[at : at + 64]).digest() for at in range(0, len(hashes), 2 * HASH_SIZE)]
        )
    return hashes


def split_point(size: int) -> int:
    """Give the greatest power of two below `size` (size >= 2): where RFC 9162 splits a tree."""
    return 1 << ((size - 1).bit_length() - 1)


def root(leaf_hashes: Sequence[bytes]) -> bytes:
    """Give the tree head over leaf hashes (RFC 9162 section 2.1.1)."""
    if not leaf_hashes:
        return EMPTY_ROOT
    if len(leaf_hashes) == 1:
        return leaf_hashes[0]
    split = split_point(len(leaf_hashes))
    return node_hash(root(leaf_hashes[:split]), root(leaf_hashes[split:]))


def inclusion_path(leaf_hashes: Sequence[bytes], index: int) -> list[bytes]:
    """Build the audit path of leaf `index`, from its sibling up (RFC 9162 section 2.1.3.1).

    Raises ProofError when the index lies outside the tree.
    """
    size = len(leaf_hashes)
    if not 0 <= index < size:
        raise ProofError(f"leaf {index} does not exist in a tree of {size}")
    if size == 1:
        return []
    split = split_point(size)
    if index < split:
        return [*inclusion_path(leaf_hashes[:split], index), root(leaf_hashes[split:])]
    return [*inclusion_path(leaf_hashes[split:], index - split), root(leaf_hashes[:split])]


def consistency_path(leaf_hashes: Sequence[bytes], old_size: int) -> list[bytes]:
    """Build the proof that the tree extends its own first `old_size` leaves (RFC 9162 section 2.1.4.1).

    Empty for old_size 0 and for the whole tree. Raises ProofError when old_size is larger than the tree.
    """
    if not 0 <= old_size <= len(leaf_hashes):
        raise ProofError(f"a tree of {len(leaf_hashes)} has no earlier size {old_size}")
    return [] if old_size == 0 else _subproof(leaf_hashes, old_size, known=True)


def _subproof(leaf_hashes: Sequence[bytes], old_size: int, *, known: bool) -> list[bytes]:
    size = len(leaf_hashes)
    if old_size == size:
        return [] if known else [root(leaf_hashes)]
    split = split_point(size)
    if old_size <= split:
        return [*_subproof(leaf_hashes[:split], old_size, known=known), root(leaf_hashes[split:])]
    return [*_subproof(leaf_hashes[split:], old_size - split, known=False), root(leaf_hashes[:split])]


def verify_inclusion(*, leaf: bytes, index: int, size: int, path: Sequence[bytes], root: bytes) -> None:
    """Check that the leaf hash `leaf` is number `index` of the tree with this size and root.

    The algorithm of RFC 9162 section 2.1.3.2. Raises ProofError, and says which rule was broken.
    """
    _check_number("index", index)
    _check_number("tree size", size)
    _check_hashes(leaf=leaf, root=root)
    if index >= size:
        raise ProofError(f"leaf {index} does not exist in a tree of {size}")
    _check_path(path)
    node, last, digest = index, size - 1, leaf
    for sibling in path:
        if last == 0:
            raise ProofError("the inclusion path is too long for this tree")
        if node & 1 or node == last:
            digest = node_hash(sibling, digest)
            # On the ragged right edge a node without sibling stands for its parent: skip those levels.
            while not node & 1 and node:
                node >>= 1
                last >>= 1
        else:
            digest = node_hash(digest, sibling)
        node >>= 1
        last >>= 1
    if last != 0:
        raise ProofError("the inclusion path is too short for this tree")
    if not compare_digest(digest, root):
        raise ProofError("the inclusion path does not lead to the root: leaf, path, index or root was changed")


def verify_consistency(
    *, old_size: int, new_size: int, old_root: bytes, new_root: bytes, path: Sequence[bytes]
) -> None:
    """Check that the tree of new_size extends the tree of old_size without changing it.

    The algorithm of RFC 9162 section 2.1.4.2. The RFC defines no proof from the empty tree; here it is accepted with
    the root of the empty tree and an empty path only, since every tree extends it. Raises ProofError.
    """
    _check_number("old size", old_size)
    _check_number("new size", new_size)
    _check_hashes(old_root=old_root, new_root=new_root)
    if old_size > new_size:
        raise ProofError(f"the tree cannot shrink from {old_size} to {new_size}")
    _check_path(path)
    if old_size in {0, new_size}:
        _check_without_path(old_size, new_size, old_root, new_root, path)
        return
    _walk_consistency(old_size, new_size, old_root, new_root, path)


def verify_append(
    *, old_size: int, old_root: bytes, peaks: Sequence[bytes], leaves: Sequence[bytes], new_root: bytes
) -> None:
    """Check that the tree of `old_size` leaves, extended by these leaf hashes, has `new_root`.

    `peaks` are the roots of the perfect subtrees of the old tree, the greatest first: one for each bit of `old_size`.
    One proof for all new leaves: each is in the tree, at its place, and nothing before them has changed. Raises
    ProofError.
    """
    _check_number("old size", old_size)
    heights = [height for height in range(old_size.bit_length() - 1, -1, -1) if old_size >> height & 1]
    if len(peaks) != len(heights):
        raise ProofError(f"a tree of {old_size} leaves has {len(heights)} perfect subtrees, not {len(peaks)}")
    stack = list(zip(heights, peaks, strict=True))
    if not compare_digest(_fold(stack), old_root):
        raise ProofError("the subtrees do not give the old root")
    for leaf in leaves:
        height, digest = 0, leaf
        while stack and stack[-1][0] == height:
            digest = node_hash(stack.pop()[1], digest)
            height += 1
        stack.append((height, digest))
    if not compare_digest(_fold(stack), new_root):
        raise ProofError("the old tree and the new leaves do not give the new root")


def _fold(subtrees: Sequence[tuple[int, bytes]]) -> bytes:
    if not subtrees:
        return EMPTY_ROOT
    digest = subtrees[-1][1]
    for _, left in reversed(subtrees[:-1]):
        digest = node_hash(left, digest)
    return digest


def _check_without_path(old_size: int, new_size: int, old_root: bytes, new_root: bytes, path: Sequence[bytes]) -> None:
    if path:
        raise ProofError("a consistency path where none is needed")
    if old_size == 0 and not compare_digest(old_root, EMPTY_ROOT):
        raise ProofError("the root given for the empty tree is not the root of the empty tree")
    if old_size == new_size and not compare_digest(old_root, new_root):
        raise ProofError("two different roots for the same size: the log shows two histories")


def _walk_consistency(old_size: int, new_size: int, old_root: bytes, new_root: bytes, path: Sequence[bytes]) -> None:
    # A power of two is a whole subtree of the new tree: its root is not repeated in the path.
    steps = iter([old_root, *path] if old_size & (old_size - 1) == 0 else path)
    node, last = old_size - 1, new_size - 1
    while node & 1:
        node >>= 1
        last >>= 1
    seed = next(steps, None)
    if seed is None:
        raise ProofError("the consistency path is empty")
    old_digest = new_digest = seed
    for sibling in steps:
        if last == 0:
            raise ProofError("the consistency path is too long for these sizes")
        if node & 1 or node == last:
            old_digest = node_hash(sibling, old_digest)
            new_digest = node_hash(sibling, new_digest)
            while not node & 1 and node:
                node >>= 1
                last >>= 1
        else:
            new_digest = node_hash(new_digest, sibling)
        node >>= 1
        last >>= 1
    if last != 0:
        raise ProofError("the consistency path is too short for these sizes")
    if not compare_digest(old_digest, old_root):
        raise ProofError("the consistency path does not lead to the old root: the log changed what it had shown")
    if not compare_digest(new_digest, new_root):
        raise ProofError("the consistency path does not lead to the new root")


def _check_number(name: str, value: int) -> None:
    if type(value) is not int or not 0 <= value <= MAX_INTEGER:
        raise ProofError(f"the {name} must be a whole number from 0 to {MAX_INTEGER}")


def _check_hashes(**hashes: bytes) -> None:
    for name, value in hashes.items():
        if not isinstance(value, bytes) or len(value) != HASH_SIZE:
            raise ProofError(f"the {name.replace('_', ' ')} must be a hash of {HASH_SIZE} bytes")


def _check_path(path: Sequence[bytes]) -> None:
    if len(path) > MAX_PATH_LENGTH + 1:
        raise ProofError(f"a path of {len(path)} hashes fits no tree")
    for step in path:
        if not isinstance(step, bytes) or len(step) != HASH_SIZE:
            raise ProofError(f"each step of the path must be a hash of {HASH_SIZE} bytes")
