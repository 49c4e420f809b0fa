"""What scanners do to a text, and what is done about it."""

from __future__ import annotations

import pytest

from scanners.codes.cleaning import Diagnosis, clean, read_written_controls
from scanners.codes.errors import CodeError

LINK = "HTTPS://ID.EXAMPLE/01/09521234543213/21/A"


@pytest.mark.parametrize("ending", ["", "\r", "\n", "\r\n", "\t"])
def test_one_ending_is_what_scanners_send(ending: str) -> None:
    assert clean(LINK + ending) == (LINK, ())


@pytest.mark.parametrize(
    ("sent", "found"),
    [
        (LINK + "\r\r", (Diagnosis.DOUBLE_ENTER,)),
        (LINK + "\r\n\r\n", (Diagnosis.DOUBLE_ENTER,)),
        (f"{LINK}\n{LINK}\n{LINK}", (Diagnosis.DOUBLE_ENTER,)),
        (" " + LINK, (Diagnosis.WHITE_SPACE,)),
        (LINK + " \r", (Diagnosis.WHITE_SPACE,)),
        (f" {LINK}\n{LINK} ", (Diagnosis.DOUBLE_ENTER, Diagnosis.WHITE_SPACE)),
    ],
)
def test_what_is_stripped_is_named(sent: str, found: tuple[Diagnosis, ...]) -> None:
    assert clean(sent) == (LINK, found)


def test_bytes_are_read_as_utf8_or_latin1() -> None:
    assert clean(LINK.encode() + b"\r\n") == (LINK, ())
    for raw in ("HTTPSÑ--ID".encode(), "HTTPSÑ--ID".encode("latin-1")):
        with pytest.raises(CodeError) as caught:
            clean(raw)
        assert caught.value.code == "keyboard_layout"


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        ("", "empty"),
        (b"", "empty"),
        (" \r\n", "empty"),
        ("A" * 2049, "too_long"),
        (b"A" * 10_000_000, "too_long"),
        (f"{LINK}\n{LINK}B", "two_codes"),
        (LINK + "\x00", "control_character"),
        ("ñ", "characters"),
        ("\ud800", "characters"),
    ],
)
def test_what_can_not_be_undone_is_refused(sent: str | bytes, code: str) -> None:
    with pytest.raises(CodeError) as caught:
        clean(sent)
    assert caught.value.code == code


def test_written_out_separators_become_separators_and_are_named() -> None:
    for written in ("<GS>", "{GS}", "\\x1d", "\\u001D", "␝", "^]", "|", "~d029"):
        assert read_written_controls(f"21A{written}10B") == ("21A\x1d10B", (Diagnosis.GS_AS_TEXT,))
    assert read_written_controls("[)><RS>06<GS>1PA<RS><EOT>")[0] == "[)>\x1e06\x1d1PA\x1e\x04"
    assert read_written_controls("21A\x1d10B") == ("21A\x1d10B", ())


def test_real_and_written_out_separators_together_are_refused() -> None:
    with pytest.raises(CodeError) as caught:
        read_written_controls("21A\x1d10B<GS>99C")
    assert caught.value.code == "mixed_gs"
