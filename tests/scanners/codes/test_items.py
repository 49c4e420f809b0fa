"""Links of items without GTIN."""

from __future__ import annotations

import pytest

from scanners.codes.errors import CodeError
from scanners.codes.items import is_item_path, parse_item_link


def test_an_item_link_is_taken_apart() -> None:
    link = parse_item_link("HTTPS://ID.EXAMPLE/codes/i/ACME5/W-1/S%2F1?17=271231&10=L1&x=y#f")
    assert (link.host, link.prefix_path, link.fragment) == ("id.example", "/codes", "f")
    assert link.identity.uri() == "/i/ACME5/W-1/S%2F1"
    assert link.elements == (("17", "271231"), ("10", "L1"))
    assert link.canonical() == "https://id.example/codes/i/ACME5/W-1/S%2F1?10=L1&17=271231&x=y"


def test_a_gs1_key_in_the_place_of_the_item_is_no_item() -> None:
    assert is_item_path("/i/ACME5/W-1/S")
    assert not is_item_path("/i/ACME5/01/09521234543213")
    assert not is_item_path("/I/ACME5/W-1/S")
    assert not is_item_path("i/ACME5/W-1/S"[1:])


@pytest.mark.parametrize(
    ("rest", "code"),
    [
        ("/i/ACME5/W-1", "item_path"),
        ("/i/ACME5/W-1/S?21=A", "attribute"),
        ("/i/ACME5/W-1/S?01=09521234543213", "attribute"),
        ("/i/ACME5/W-1/S?10=A&10=A", "repeated_ai"),
        ("/i/ACME5/W-1/S?11=271301", "illegal_month"),
        ("/i/ACME5/W-1/S?3100=000001&3101=000001", "excluded_ai"),
        ("/i/acme5/W-1/S", "issuer"),
    ],
)
def test_faults_are_refused_with_their_reason(rest: str, code: str) -> None:
    with pytest.raises(CodeError) as caught:
        parse_item_link("https://id.example" + rest)
    assert caught.value.code == code
