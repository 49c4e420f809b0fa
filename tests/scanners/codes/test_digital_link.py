"""GS1 Digital Link URIs: strict syntax, one canonical form."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scanners.codes.digital_link import (
    DigitalLink,
    build_digital_link,
    escape_path,
    escape_query,
    parse_digital_link,
    split_uri,
    unescape_path,
    unescape_query,
)
from scanners.codes.errors import CodeError

GTIN = "09521234543213"
CSET82 = "!\"%&'()*+,-./0123456789:;<=>?ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz"
values = st.text(alphabet=CSET82, min_size=1, max_size=20)


def refusal(text: str, *, deep: bool = True) -> str:
    with pytest.raises(CodeError) as caught:
        parse_digital_link(text, deep=deep)
    return caught.value.code


def test_a_link_is_taken_apart() -> None:
    text = f"HTTPS://Shop.Example:8443/a/b/01/{GTIN}/10/L%2F1/21/S+1?17=271231&x=a+b&flag&99=a%2Bb#top"
    link = parse_digital_link(text)
    assert link == DigitalLink(
        scheme="https",
        host="shop.example:8443",
        prefix_path="/a/b",
        elements=(("01", GTIN), ("10", "L/1"), ("21", "S+1"), ("17", "271231"), ("99", "a+b")),
        extensions=(("x", "a b"), ("flag", "")),
        fragment="top",
        path_elements=3,
    )
    assert link.primary == ("01", GTIN)
    assert link.value("17") == "271231"
    assert link.value("11") is None


def test_the_canonical_form_sorts_attributes_and_drops_the_fragment() -> None:
    link = parse_digital_link(f"HTTP://A.EXAMPLE:80/x/01/{GTIN}?99=B&15=271231&k=v#f")
    assert link.canonical() == f"http://a.example/x/01/{GTIN}?15=271231&99=B&k=v"


def test_the_right_most_key_is_the_key_and_what_precedes_it_the_stem() -> None:
    link = parse_digital_link(f"https://a/01/{GTIN}/21/X/00/095212345000000018")
    assert link.elements == (("00", "095212345000000018"),)
    assert link.prefix_path == f"/01/{GTIN}/21/X"


def test_syntax_alone_does_not_judge_check_digits_and_associations() -> None:
    wrong = "https://a/01/09521234543210/21/X?250=A"
    assert parse_digital_link(wrong, deep=False).value("01") == "09521234543210"
    assert refusal(wrong) == "check_digit"
    assert refusal(f"https://a/01/{GTIN}?250=A") == "required_ai"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "scheme"),
        ("https://a/01/" + "9" * 2048, "too_long"),
        (f"Https://a/01/{GTIN}", "scheme"),
        (f"https://a@b/01/{GTIN}", "host"),
        (f"https://a:65536/01/{GTIN}", "host"),
        (f"https://[::1/01/{GTIN}", "host"),
        (f"https:///01/{GTIN}", "no_path"),
        (f"https://a/01/{GTIN}/", "no_key"),
        (f"https://a/01/{GTIN[1:]}", "value_length"),
        (f"https://a/01/{GTIN}/21/A/10/B", "ai_order"),
        (f"https://a/01/{GTIN}?10=B", "attribute"),
        (f"https://a/01/{GTIN}?21=B", "attribute"),
        (f"https://a/01/{GTIN}?99=B&99=B", "repeated_ai"),
        (f"https://a/01/{GTIN}?1999=B", "unknown_ai"),
        (f"https://a/01/{GTIN}?99=", "empty_value"),
        (f"https://a/01/{GTIN}?99=%00", "value_characters"),
        (f"https://a/01/{GTIN}?%39%39=B", "escaped_key"),
        (f"https://a/01/{GTIN}?%53=B", "escaped_key"),
        (f"https://a/01/{GTIN} ", "uri_characters"),
        (f"https://a/01/{GTIN}\n", "uri_characters"),
        ("https://ａ/01/" + GTIN, "uri_characters"),
    ],
)
def test_faults_are_refused_with_their_reason(text: str, code: str) -> None:
    assert refusal(text, deep=False) == code


def test_too_many_identifiers_are_refused() -> None:
    weights = "&".join(f"{ai}=000001" for ai in (*range(3100, 3106), *range(3110, 3116), *range(3120, 3126)))
    more = "&".join(f"{base + n}=000001" for base in range(3200, 3300, 10) for n in range(6))
    assert refusal(f"https://a/01/{GTIN}?{weights}&{more}", deep=False) == "too_many_ais"


def test_hosts_keep_their_port_unless_it_is_the_default() -> None:
    assert split_uri("https://A.example:443/x").host == "a.example"
    assert split_uri("http://A.example:443/x").host == "a.example:443"
    assert split_uri("http://[2001:DB8::1]:80/x").host == "[2001:db8::1]"


@given(serial=values, lot=st.none() | values, internal=st.none() | values)
def test_what_is_built_is_read_back(serial: str, lot: str | None, internal: str | None) -> None:
    elements = [
        ("01", GTIN),
        *([("10", lot)] if lot else []),
        ("21", serial),
        *([("99", internal)] if internal else []),
    ]
    link = parse_digital_link(build_digital_link(elements, stem="https://id.example/x/"))
    assert list(link.elements) == elements
    assert parse_digital_link(link.canonical()).canonical() == link.canonical()


@given(st.text(alphabet=[chr(code) for code in range(256)], max_size=40))
def test_escaping_is_undone_by_unescaping(text: str) -> None:
    assert unescape_path(escape_path(text)) == text
    assert unescape_query(escape_query(text)) == text


def test_links_need_a_key_and_no_foreign_qualifier() -> None:
    for elements, code in (
        ([("99", "A")], "no_key"),
        ([("01", GTIN), ("8200", "x")], "attribute"),
        ([("01", GTIN), ("22", "A"), ("235", "B")], "attribute"),
        ([("01", GTIN), ("10", "A"), ("10", "B")], "repeated_ai"),
        ([("01", "1")], "value_length"),
        ([("7777777", "1")], "unknown_ai"),
    ):
        with pytest.raises(CodeError) as caught:
            build_digital_link(elements)
        assert caught.value.code == code
