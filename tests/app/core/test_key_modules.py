"""PKCS#11 URIs read strictly, and what goes wrong said in one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.core.key_modules import parse_uri, unwrap_key
from app.core.sealing import SealError

MODULE = "module-path=/usr/lib/module.so"


def test_a_uri_names_module_token_key_and_the_file_of_the_pin(tmp_path: Path) -> None:
    (tmp_path / "pin").write_text("1234\n")
    found = parse_uri(f"pkcs11:token=My%20token;object=kek;id=%01%ff?{MODULE}&pin-source=file:{tmp_path / 'pin'}")
    assert (found.module_path, found.token, found.label, found.key_id) == (
        "/usr/lib/module.so",
        "My token",
        "kek",
        b"\x01\xff",
    )
    assert found.pin == "1234"
    assert "1234" not in repr(found)


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("token=a", "begin with pkcs11:"),
        (f"pkcs11:token=a;object=b?{MODULE}", "pin-source"),
        (f"pkcs11:token=a;object=b?{MODULE}&pin-value=1&pin-source=file:/x", "one of them"),
        ("pkcs11:token=a;object=b?pin-value=1", "module-path"),
        (f"pkcs11:token=a?{MODULE}&pin-value=1", "object="),
        (f"pkcs11:object=a?{MODULE}&pin-value=1", "token="),
        (f"pkcs11:token=a;token=b;object=c?{MODULE}&pin-value=1", "twice"),
        (f"pkcs11:token=a;object=c;x-vendor=1?{MODULE}&pin-value=1", "x-vendor"),
        (f"pkcs11:token=a;object=c;type=private?{MODULE}&pin-value=1", "secret-key"),
        (f"pkcs11:token=a;object=c?{MODULE}&pin-source=file:/does/not/exist", "/does/not/exist"),
    ],
)
def test_an_unclear_uri_is_refused_with_what_is_missing(uri: str, said: str) -> None:
    with pytest.raises(SealError, match=said):
        parse_uri(uri)


def test_a_refusal_never_repeats_the_pin() -> None:
    with pytest.raises(SealError) as refusal:
        parse_uri(f"pkcs11:token=a;object=c?{MODULE}&pin-value=771177&pin-value=771177")
    assert "771177" not in str(refusal.value)


@pytest.mark.parametrize("content", [b"", bytes(32), b"marchamo-kek-1\n" + bytes(10)])
def test_a_file_without_a_wrapped_key_is_refused_before_the_module_is_asked(content: bytes) -> None:
    with pytest.raises(SealError, match="marchamo kek wrap"):
        unwrap_key("pkcs11:nowhere", content)
