"""Identities: what a code is about."""

from __future__ import annotations

import pytest

from scanners.codes.errors import CodeError
from scanners.codes.identity import CodeIdentity, CodeKind

GTIN = "09521234543213"


def test_a_unit_has_the_resolver_s_uri() -> None:
    identity = CodeIdentity(CodeKind.GTIN, GTIN, "A/B")
    assert identity.uri() == f"https://id.gs1.org/01/{GTIN}/21/A%2FB"
    assert identity.elements() == (("01", GTIN), ("21", "A/B"))
    assert (identity.issuer, identity.item) == ("", "")


def test_an_item_has_a_path_of_the_registry_and_no_gs1_elements() -> None:
    identity = CodeIdentity(CodeKind.ITEM, "ACME5/W-1", "S1")
    assert identity.uri() == "/i/ACME5/W-1/S1"
    assert identity.elements() == ()
    assert (identity.issuer, identity.item) == ("ACME5", "W-1")


def test_a_case_is_its_sscc() -> None:
    identity = CodeIdentity(CodeKind.CASE, "", "095212345000000018")
    assert identity.uri() == "https://id.gs1.org/00/095212345000000018"


@pytest.mark.parametrize(
    ("kind", "identifier", "serial", "code"),
    [
        (CodeKind.GTIN, "9521234543213", "A", "gtin"),
        (CodeKind.GTIN, "０9521234543213", "A", "gtin"),
        (CodeKind.GTIN, "09521234543214", "A", "check_digit"),
        (CodeKind.GTIN, GTIN, "", "serial"),
        (CodeKind.GTIN, GTIN, "A" * 21, "serial"),
        (CodeKind.GTIN, GTIN, "A B", "serial"),
        (CodeKind.GTIN, GTIN, "é", "serial"),
        (CodeKind.GTIN, GTIN, "A\n", "serial"),
        (CodeKind.GTIN, GTIN, "..", "serial"),
        (CodeKind.CASE, GTIN, "095212345000000018", "sscc"),
        (CodeKind.CASE, "", "09521234500000001", "sscc"),
        (CodeKind.CASE, "", "095212345000000019", "check_digit"),
        (CodeKind.ITEM, "ABC/W", "S", "issuer"),
        (CodeKind.ITEM, "ACMEO/W", "S", "issuer"),
        (CodeKind.ITEM, "acme/W", "S", "issuer"),
        (CodeKind.ITEM, "ACME", "S", "item"),
        (CodeKind.ITEM, "ACME/W/X", "S", "item"),
        (CodeKind.ITEM, "ACME/w", "S", "item"),
        (CodeKind.ITEM, "ACME/..", "S", "item"),
        (CodeKind.ITEM, "ACME/01", "S", "item"),
    ],
)
def test_parts_that_break_their_rule_are_refused(kind: CodeKind, identifier: str, serial: str, code: str) -> None:
    with pytest.raises(CodeError) as caught:
        CodeIdentity(kind, identifier, serial)
    assert caught.value.code == code
