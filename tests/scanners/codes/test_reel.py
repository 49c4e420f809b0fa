"""Labels of reels and boxes of parts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scanners.codes.errors import CodeError
from scanners.codes.reel import ReelLabel, looks_like_reel_label, parse_reel_label

LABEL = "[)>\x1e06\x1d1PLM358\x1dPC-77\x1d1TL0T\x1dQ2500\x1d9D2631\x1d4LMY\x1dSR1\x1d1JUN1234\x1e\x04"


def test_the_fields_have_names() -> None:
    label = parse_reel_label(LABEL)
    assert label.part_number == "LM358"
    assert label.customer_part_number == "C-77"
    assert label.lot == "L0T"
    assert label.quantity == "2500"
    assert label.date_code == "2631"
    assert label.origin == "MY"
    assert label.serial == "R1"
    assert label.licence_plate == "UN1234"
    assert label.canonical() == LABEL


def test_absent_fields_are_absent() -> None:
    label = parse_reel_label("10D2631")
    assert label == ReelLabel((("10D", "2631"),))
    assert label.date_code == "2631"
    assert label.part_number is None
    assert label.licence_plate is None


def test_the_closing_characters_may_have_been_dropped() -> None:
    assert parse_reel_label(LABEL[:-1]) == parse_reel_label(LABEL) == parse_reel_label(LABEL[:-2])


def test_gs1_texts_do_not_look_like_reel_labels() -> None:
    assert looks_like_reel_label("1PLM358")
    assert looks_like_reel_label("[)>")
    assert not looks_like_reel_label("0109521234543213")
    assert not looks_like_reel_label("HTTPS://")
    assert not looks_like_reel_label("Q100")
    assert not looks_like_reel_label("10LOT7")


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("[)>061PLM358Q25", "gs_lost"),
        ("[)>\x1e05\x1d0109521234543213\x1e\x04", "envelope_format"),
        ("[)>06\x1e\x1d1PLM358", "envelope"),
        (LABEL + LABEL, "envelope"),
        ("[)>\x1e06\x1d1PA\x1d1PB\x1e\x04", "repeated_identifier"),
        ("[)>\x1e06\x1dQ1e3\x1e\x04", "quantity"),
        ("[)>\x1e06\x1d4Lmy\x1e\x04", "country"),
        ("[)>\x1e06\x1d1pA\x1e\x04", "case_swapped"),
        ("[)>\x1e06\x1d\x1e\x04", "field"),
        ("[)>\x1e06\x1d1P" + "A" * 101, "field"),
        ("[)>\x1e06\x1d1PÜ", "field"),
        ("[)>\x1e06" + "".join(f"\x1d{n}PA" for n in range(64)), "too_many_fields"),
        ("1P" + "A" * 2047, "too_long"),
    ],
)
def test_faults_are_refused_with_their_reason(text: str, code: str) -> None:
    with pytest.raises(CodeError) as caught:
        parse_reel_label(text)
    assert caught.value.code == code


@given(
    st.dictionaries(
        st.from_regex(r"[0-9]{0,3}[A-PR-Z]", fullmatch=True).filter(lambda name: name != "4L"),
        st.text(alphabet=[chr(code) for code in range(32, 127)], min_size=1, max_size=20),
        min_size=1,
        max_size=8,
    )
)
def test_what_is_written_is_read_back(fields: dict[str, str]) -> None:
    label = ReelLabel(tuple(fields.items()))
    assert parse_reel_label(label.canonical()) == label
