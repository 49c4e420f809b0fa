"""The bytes that a batch hashes are the bytes that a reader of its codes verifies."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.registry.contents import UnitContents, batch_elements
from app.registry.service import Profile
from scanners.codes.check_digits import check_digit
from scanners.codes.identity import SERIAL_PATTERN, CodeIdentity, CodeKind
from scanners.codes.signature import signed_message
from tests.builders import gtin

serials = st.from_regex(SERIAL_PATTERN, fullmatch=True).filter(lambda text: text not in {".", ".."})
lots = st.none() | st.from_regex(SERIAL_PATTERN, fullmatch=True)
expiries = st.none() | st.just("271231")


@given(serials, lots, expiries, st.integers(0, 2**32 - 1), st.sampled_from([CodeKind.GTIN, CodeKind.ITEM]))
def test_the_fast_form_gives_the_signed_message(
    serial: str, lot: str | None, expiry: str | None, key_id: int, kind: CodeKind
) -> None:
    identifier = gtin() if kind is CodeKind.GTIN else "ABCDEF/21"
    elements = batch_elements(kind, Profile.SIGNED, lot, expiry)
    fast = UnitContents(kind, identifier, elements, key_id).of(serial)
    assert fast == signed_message(CodeIdentity(kind, identifier, serial), elements, key_id)


@given(st.integers(0, 10**17 - 1))
def test_the_fast_form_gives_the_signed_message_of_cases(number: int) -> None:
    body = f"{number:017}"
    serial = body + check_digit(body)
    fast = UnitContents(CodeKind.CASE, "", (), 7).of(serial)
    assert fast == signed_message(CodeIdentity(CodeKind.CASE, "", serial), (), 7)


@pytest.mark.parametrize(
    ("kind", "profile", "elements"),
    [
        (CodeKind.GTIN, Profile.SIGNED, (("10", "L"), ("17", "271231"))),
        (CodeKind.ITEM, Profile.SIGNED, (("17", "271231"),)),
        (CodeKind.GTIN, Profile.COMPACT, ()),
        (CodeKind.CASE, Profile.CASE, ()),
    ],
)
def test_a_code_carries_lot_and_expiry_where_its_kind_can(
    kind: CodeKind, profile: Profile, elements: tuple[tuple[str, str], ...]
) -> None:
    assert batch_elements(kind, profile, "L", "271231") == elements
