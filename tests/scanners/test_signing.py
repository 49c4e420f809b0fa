"""What a firm checks before it signs: the batch is the one it named, and the tree on the ledger is over these units."""

from __future__ import annotations

import string
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.leaf import SaltedLeaves
from ledger.tiles import BATCH_HEIGHT, TileBuilder
from scanners.codes.identity import CodeIdentity, CodeKind
from scanners.codes.key_messages import POSSESSION_DOMAIN, possession_message, seal_message
from scanners.codes.signature import DOMAIN, signed_message, verify_code
from scanners.key_files import new_key
from scanners.signing import Order, SigningRefused, Walk, possession_of, signer_of

GTIN = "09521234000013"
KEY = new_key()
SERIALS = [f"AB{number:05}" for number in range(300)]


def order_of(serials: list[str], **more: Any) -> Order:
    """An order whose root is over these serials."""
    members: dict[str, Any] = {
        "handle": "7K2QX",
        "issuer": "ACME55",
        "key_id": 7,
        "public_key": KEY.public_key,
        "kind": CodeKind.GTIN,
        "reference": GTIN,
        "elements": (("10", "L1"), ("17", "271231")),
        "quantity": len(serials),
        "root": bytes(32),
        "salt_secret": bytes(range(32)),
        "batch_log_index": 5,
        **more,
    }
    order = Order(**members)
    contents, leaves, tree = order.contents(), SaltedLeaves(order.salt_secret), TileBuilder(BATCH_HEIGHT)
    tree.extend([leaves.hash(at, contents.of(serial)) for at, serial in enumerate(serials)])
    return replace(order, root=tree.root())


def walked(order: Order, serials: list[str], *, at_once: int = 100) -> Walk:
    walk = Walk(order)
    for start in range(0, len(serials), at_once):
        walk.take(serials[start : start + at_once])
    return walk


def test_an_order_is_read_as_it_was_written() -> None:
    order = order_of(SERIALS)
    assert Order.from_members(order.to_members()) == order
    assert order.lot == "L1"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("key_id", True),
        ("key_id", 2**32),
        ("kind", "box"),
        ("public_key", "AAAA"),
        ("root", None),
        ("elements", [["21", "X"]]),
        ("elements", [["10"]]),
        ("elements", "10"),
        ("quantity", -1),
        ("handle", "A" * 201),
        ("salt_secret", "not base64"),
    ],
)
def test_an_order_of_another_shape_is_refused(name: str, value: object) -> None:
    members = order_of(SERIALS).to_members() | {name: value}
    with pytest.raises(SigningRefused):
        Order.from_members(members)
    del members[name]
    with pytest.raises(SigningRefused):
        Order.from_members(members)


def test_the_batch_has_to_be_the_one_that_the_person_named() -> None:
    order = order_of(SERIALS)
    order.check(KEY, gtin=GTIN, lot="L1", units=300)
    order.check(KEY, gtin=GTIN.lstrip("0"), lot=None, units=None)
    for wrong in ({"gtin": "09521234000020"}, {"lot": "L2"}, {"units": 299}):
        asked: dict[str, Any] = {"gtin": None, "lot": None, "units": None} | wrong
        with pytest.raises(SigningRefused, match="than you named"):
            order.check(KEY, **asked)
    with pytest.raises(SigningRefused, match="not the one in this file"):
        order.check(new_key(), gtin=None, lot=None, units=None)


@pytest.mark.parametrize("processes", [1, 2])
def test_every_signature_is_of_the_bytes_that_a_reader_computes(
    processes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scanners.signing.IN_ONE_PROCESS", 0)
    order = order_of(SERIALS)
    with signer_of(KEY, order, processes=processes) as signer:
        signatures = signer.sign(SERIALS)
    public_key = KEY.private_key.public_key()
    for at, serial in enumerate(SERIALS):
        message = signed_message(CodeIdentity(CodeKind.GTIN, GTIN, serial), order.elements, 7)
        assert verify_code(public_key, message, signatures[at * 64 : at * 64 + 64])


def test_the_walk_ends_well_only_when_the_tree_is_that_on_the_ledger() -> None:
    order = order_of(SERIALS)
    walked(order, SERIALS).finish()
    with pytest.raises(SigningRefused, match="not sealed"):
        walked(order, SERIALS[:-1]).finish()
    with pytest.raises(SigningRefused, match="not sealed"):
        walked(order, [*SERIALS[:-1], "ZZZ"]).finish()
    with pytest.raises(SigningRefused, match="not sealed"):
        walked(replace(order, elements=(("10", "L2"),)), SERIALS).finish()


@pytest.mark.parametrize(
    "serials", [["B", "A"], ["A", "A"], [*SERIALS, "ZZZ"], ["A B"], ["Ñ"], ["X" * 21], ["A", "B\n", "C"], [7]]
)
def test_serials_that_no_batch_can_have_are_refused(serials: list[Any]) -> None:
    with pytest.raises(SigningRefused):
        walked(order_of(SERIALS), serials, at_once=400)


@given(st.sets(st.text(string.ascii_uppercase + string.digits, min_size=1, max_size=20), min_size=1, max_size=40))
def test_any_set_of_serials_in_order_can_be_walked_in_any_steps(serials: set[str]) -> None:
    ordered = sorted(serials)
    walked(order_of(ordered), ordered, at_once=7).finish()


def test_a_seal_covers_root_and_number_of_units() -> None:
    order = order_of(SERIALS)
    seal, public_key = order.seal(KEY), KEY.private_key.public_key()
    public_key.verify(seal, seal_message(key_id=7, root=order.root, count=300))
    for other in (
        seal_message(key_id=7, root=order.root, count=301),
        seal_message(key_id=8, root=order.root, count=300),
        seal_message(key_id=7, root=bytes(32), count=300),
    ):
        assert not verify_code(public_key, other, seal)


def test_possession_is_proved_for_this_key_number_and_firm_only() -> None:
    message = possession_message(key_id=7, issuer="ACME55", purpose="code", public_key=KEY.public_key)
    signature = possession_of(KEY, key_id=7, issuer="ACME55", message=message)
    KEY.private_key.public_key().verify(signature, message)
    code = signed_message(CodeIdentity(CodeKind.GTIN, GTIN, "A"), (), 7)
    for trap in (code, message + b"x", seal_message(key_id=7, root=bytes(32), count=1)):
        with pytest.raises(SigningRefused, match="something else"):
            possession_of(KEY, key_id=7, issuer="ACME55", message=trap)
    assert not POSSESSION_DOMAIN.startswith(DOMAIN)


@pytest.mark.parametrize("name", ["handle", "issuer", "reference"])
def test_a_description_that_would_repaint_the_screen_is_refused(name: str) -> None:
    members = order_of(SERIALS).to_members() | {name: "ACME55\x1b[2K\rBatch 3KQ7X of ACME55: 10 units"}
    with pytest.raises(SigningRefused):
        Order.from_members(members)
