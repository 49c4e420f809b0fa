from __future__ import annotations

import json
from base64 import b64decode
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger import merkle
from ledger.errors import ProofError
from tests.shared_data import shared_file

Vectors = dict[str, Any]


def leaves(size: int) -> list[bytes]:
    return [merkle.leaf_hash(index.to_bytes(4, "big")) for index in range(size)]


@pytest.fixture(scope="module")
def rfc6962() -> Vectors:
    data: Vectors = json.loads(shared_file("conformance/rfc6962_vectors.json").read_bytes())
    return data


def test_the_nine_roots_and_all_node_hashes_are_those_of_rfc_6962(rfc6962: Vectors) -> None:
    hashes = [merkle.leaf_hash(bytes.fromhex(leaf)) for leaf in rfc6962["leaves"]]
    assert [digest.hex() for digest in hashes] == rfc6962["leaf_hashes"]
    assert [merkle.root(hashes[:size]).hex() for size in range(9)] == rfc6962["roots"]
    level = hashes
    for expected in rfc6962["node_hashes"]:
        assert [digest.hex() for digest in level] == expected
        level = [merkle.node_hash(*level[at : at + 2]) for at in range(0, len(level) - 1, 2)]
    assert rfc6962["empty_root"] == merkle.EMPTY_ROOT.hex()


def test_every_rfc_6962_path_is_built_and_accepted(rfc6962: Vectors) -> None:
    hashes = [bytes.fromhex(digest) for digest in rfc6962["leaf_hashes"]]
    for vector in rfc6962["inclusion"]:
        path = merkle.inclusion_path(hashes[: vector["size"]], vector["index"])
        assert [step.hex() for step in path] == vector["proof"]
        merkle.verify_inclusion(
            leaf=hashes[vector["index"]],
            index=vector["index"],
            size=vector["size"],
            path=path,
            root=bytes.fromhex(vector["root"]),
        )
    for vector in rfc6962["consistency"]:
        path = merkle.consistency_path(hashes[: vector["size2"]], vector["size1"])
        assert [step.hex() for step in path] == vector["proof"]
        merkle.verify_consistency(
            old_size=vector["size1"],
            new_size=vector["size2"],
            old_root=bytes.fromhex(vector["root1"]),
            new_root=bytes.fromhex(vector["root2"]),
            path=path,
        )


def test_the_judged_vectors_of_transparency_dev_are_answered_as_they_say() -> None:
    folder = shared_file("conformance/tlog_vectors")
    judged = [vector for vector in json.loads((folder / "index.json").read_bytes())["vectors"] if vector["judge"]]
    assert len(judged) >= 100
    wrong = [
        entry["file"]
        for entry in judged
        if accepts(json.loads((folder / entry["file"]).read_bytes())) == entry["wantErr"]
    ]
    assert wrong == []


def accepts(vector: Vectors) -> bool:
    path = [b64decode(step) for step in vector["proof"] or []]
    try:
        if "leafIdx" in vector:
            merkle.verify_inclusion(
                leaf=b64decode(vector["leafHash"]),
                index=vector["leafIdx"],
                size=vector["treeSize"],
                path=path,
                root=b64decode(vector["root"]),
            )
        else:
            merkle.verify_consistency(
                old_size=vector["size1"],
                new_size=vector["size2"],
                old_root=b64decode(vector["root1"]),
                new_root=b64decode(vector["root2"]),
                path=path,
            )
    except ProofError:
        return False
    return True


@given(st.data())
def test_the_path_of_any_leaf_leads_to_the_root(data: st.DataObject) -> None:
    hashes = leaves(data.draw(st.integers(1, 200)))
    index = data.draw(st.integers(0, len(hashes) - 1))
    merkle.verify_inclusion(
        leaf=hashes[index],
        index=index,
        size=len(hashes),
        path=merkle.inclusion_path(hashes, index),
        root=merkle.root(hashes),
    )


@given(st.data())
def test_any_earlier_size_is_consistent_with_any_later_one(data: st.DataObject) -> None:
    hashes = leaves(data.draw(st.integers(1, 200)))
    old = data.draw(st.integers(0, len(hashes)))
    merkle.verify_consistency(
        old_size=old,
        new_size=len(hashes),
        old_root=merkle.root(hashes[:old]),
        new_root=merkle.root(hashes),
        path=merkle.consistency_path(hashes, old),
    )


@pytest.mark.parametrize(("index", "size"), [(0, 1), (2, 3), (5, 7), (6, 7), (10, 21)])
def test_a_flipped_bit_anywhere_in_leaf_path_or_root_is_refused(index: int, size: int) -> None:
    hashes = leaves(size)
    path = merkle.inclusion_path(hashes, index)
    parts = [hashes[index], merkle.root(hashes), *path]
    for part in range(len(parts)):
        for bit in range(256):
            changed = [flip(value, bit) if at == part else value for at, value in enumerate(parts)]
            with pytest.raises(ProofError):
                merkle.verify_inclusion(leaf=changed[0], index=index, size=size, path=changed[2:], root=changed[1])


@pytest.mark.parametrize(("old", "new"), [(1, 2), (3, 7), (4, 7), (6, 8), (13, 21)])
def test_a_flipped_bit_anywhere_in_a_consistency_proof_is_refused(old: int, new: int) -> None:
    hashes = leaves(new)
    parts = [merkle.root(hashes[:old]), merkle.root(hashes), *merkle.consistency_path(hashes, old)]
    for part in range(len(parts)):
        for bit in range(256):
            changed = [flip(value, bit) if at == part else value for at, value in enumerate(parts)]
            with pytest.raises(ProofError):
                merkle.verify_consistency(
                    old_size=old, new_size=new, old_root=changed[0], new_root=changed[1], path=changed[2:]
                )


def flip(value: bytes, bit: int) -> bytes:
    number = int.from_bytes(value, "big") ^ (1 << bit)
    return number.to_bytes(len(value), "big")


@given(st.data())
def test_a_proof_holds_for_no_other_index(data: st.DataObject) -> None:
    hashes = leaves(data.draw(st.integers(2, 100)))
    index = data.draw(st.integers(0, len(hashes) - 1))
    other = data.draw(st.integers(0, len(hashes) + 5).filter(lambda value: value != index))
    with pytest.raises(ProofError):
        merkle.verify_inclusion(
            leaf=hashes[index],
            index=other,
            size=len(hashes),
            path=merkle.inclusion_path(hashes, index),
            root=merkle.root(hashes),
        )


@given(st.data())
def test_no_changed_history_passes_as_an_extension(data: st.DataObject) -> None:
    hashes = leaves(data.draw(st.integers(2, 80)))
    old = data.draw(st.integers(1, len(hashes) - 1))
    rewritten = hashes.copy()
    rewritten[data.draw(st.integers(0, old - 1))] = merkle.leaf_hash(b"rewritten")
    with pytest.raises(ProofError):
        merkle.verify_consistency(
            old_size=old,
            new_size=len(hashes),
            old_root=merkle.root(hashes[:old]),
            new_root=merkle.root(rewritten),
            path=merkle.consistency_path(rewritten, old),
        )


@pytest.mark.parametrize("length", [0, 1, 31, 33, 64])
def test_a_hash_of_another_length_is_refused(length: int) -> None:
    hashes, odd = leaves(2), b"\x01" * length
    root = merkle.root(hashes)
    for leaf, step, head in ((odd, hashes[1], root), (hashes[0], odd, root), (hashes[0], hashes[1], odd)):
        with pytest.raises(ProofError, match="32 bytes"):
            merkle.verify_inclusion(leaf=leaf, index=0, size=2, path=[step], root=head)


@pytest.mark.parametrize("number", [-1, 2**63, True, 1.0, "1", None])
def test_a_size_or_index_that_is_no_number_of_the_format_is_refused(number: Any) -> None:
    digest = leaves(1)[0]
    with pytest.raises(ProofError, match="whole number"):
        merkle.verify_inclusion(leaf=digest, index=number, size=2, path=[digest], root=digest)
    with pytest.raises(ProofError, match="whole number"):
        merkle.verify_inclusion(leaf=digest, index=0, size=number, path=[], root=digest)
    with pytest.raises(ProofError, match="whole number"):
        merkle.verify_consistency(old_size=1, new_size=number, old_root=digest, new_root=digest, path=[])


def test_an_endless_path_is_refused_before_it_is_hashed() -> None:
    digest = leaves(1)[0]
    with pytest.raises(ProofError, match="fits no tree"):
        merkle.verify_inclusion(leaf=digest, index=0, size=2**63 - 1, path=[digest] * 1000, root=digest)


def test_the_largest_tree_is_walked_to_its_end() -> None:
    digest = leaves(1)[0]
    with pytest.raises(ProofError, match="does not lead"):
        merkle.verify_inclusion(leaf=digest, index=0, size=2**63 - 1, path=[digest] * 63, root=digest)


def test_only_the_true_empty_tree_is_extended_by_all() -> None:
    root = merkle.root(leaves(3))
    merkle.verify_consistency(old_size=0, new_size=3, old_root=merkle.EMPTY_ROOT, new_root=root, path=[])
    with pytest.raises(ProofError):
        merkle.verify_consistency(old_size=0, new_size=3, old_root=root, new_root=root, path=[])
    with pytest.raises(ProofError):
        merkle.verify_consistency(old_size=0, new_size=3, old_root=merkle.EMPTY_ROOT, new_root=root, path=[root])
    with pytest.raises(ProofError):
        merkle.verify_consistency(old_size=0, new_size=0, old_root=merkle.EMPTY_ROOT, new_root=root, path=[])


def test_the_builders_refuse_what_the_tree_does_not_have() -> None:
    with pytest.raises(ProofError):
        merkle.inclusion_path(leaves(3), 3)
    with pytest.raises(ProofError):
        merkle.consistency_path(leaves(3), 4)


def test_an_inner_node_does_not_pass_for_a_leaf_by_a_shorter_path() -> None:
    hashes = leaves(4)
    left, right = merkle.root(hashes[:2]), merkle.root(hashes[2:])
    with pytest.raises(ProofError, match="too short"):
        merkle.verify_inclusion(leaf=left, index=0, size=4, path=[right], root=merkle.root(hashes))


def test_a_tree_does_not_pass_for_a_smaller_one_by_a_longer_path() -> None:
    hashes = leaves(4)
    with pytest.raises(ProofError, match="too long"):
        merkle.verify_inclusion(
            leaf=hashes[0], index=0, size=2, path=merkle.inclusion_path(hashes, 0), root=merkle.root(hashes)
        )


def test_a_consistency_path_belongs_to_its_two_sizes() -> None:
    hashes = leaves(8)
    root, path = merkle.root(hashes), merkle.consistency_path(hashes, 2)
    for new_size, fault in ((4, "too long"), (16, "too short")):
        with pytest.raises(ProofError, match=fault):
            merkle.verify_consistency(
                old_size=2, new_size=new_size, old_root=merkle.root(hashes[:2]), new_root=root, path=path
            )
    with pytest.raises(ProofError, match="cannot shrink"):
        merkle.verify_consistency(old_size=8, new_size=2, old_root=root, new_root=merkle.root(hashes[:2]), path=path)
    with pytest.raises(ProofError, match="is empty"):
        merkle.verify_consistency(old_size=3, new_size=8, old_root=merkle.root(hashes[:3]), new_root=root, path=[])


def peaks_of(hashes: list[bytes]) -> list[bytes]:
    """Roots of the perfect subtrees, the greatest first."""
    peaks, at = [], 0
    for height in reversed(range(len(hashes).bit_length())):
        if len(hashes) >> height & 1:
            peaks.append(merkle.root(hashes[at : at + (1 << height)]))
            at += 1 << height
    return peaks


@given(st.integers(0, 70), st.integers(0, 40))
def test_an_append_is_proved_by_the_subtrees_before_and_the_new_leaves(old: int, more: int) -> None:
    hashes = leaves(old + more)
    merkle.verify_append(
        old_size=old,
        old_root=merkle.root(hashes[:old]),
        peaks=peaks_of(hashes[:old]),
        leaves=hashes[old:],
        new_root=merkle.root(hashes),
    )


@pytest.mark.parametrize("old", [0, 1, 5, 8, 13])
def test_an_append_with_any_part_changed_is_refused(old: int) -> None:
    hashes = leaves(old + 4)
    honest: dict[str, Any] = {
        "old_size": old,
        "old_root": merkle.root(hashes[:old]),
        "peaks": peaks_of(hashes[:old]),
        "leaves": hashes[old:],
        "new_root": merkle.root(hashes),
    }
    merkle.verify_append(**honest)
    forged = bytes(32)
    changes: list[dict[str, Any]] = [
        {"old_size": old + 1},
        {"old_size": -1},
        {"old_root": forged},
        {"new_root": forged},
        {"new_root": merkle.root(hashes[:-1])},
        {"peaks": [*honest["peaks"], forged]},
        {"leaves": hashes[old:-1]},
        {"leaves": [*hashes[old:], forged]},
        {"leaves": hashes[old:][::-1]},
        {"leaves": [forged, *hashes[old + 1 :]]},
    ]
    if old:
        changes += [{"peaks": honest["peaks"][:-1]}, {"peaks": [forged, *honest["peaks"][1:]]}]
    for change in changes:
        with pytest.raises(ProofError):
            merkle.verify_append(**honest | change)
