"""Places of the public: rounded before they are stored, with an accuracy that stays true."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from app.facts.epcis import NOWHERE, Place
from app.facts.scans.coarse import GRID, coarse

DEGREE = 1_000_000
METRES_OF_DEGREE = 111_195  # of a sphere with the mean radius of the earth


@given(
    st.integers(-90 * DEGREE, 90 * DEGREE),
    st.integers(-180 * DEGREE, 180 * DEGREE),
    st.none() | st.integers(0, 100_000),
)
def test_a_place_is_on_the_grid_and_within_the_accuracy_that_is_kept(
    latitude: int, longitude: int, accuracy: int | None
) -> None:
    found = coarse(Place(latitude, longitude, accuracy, "gps"))
    assert found.latitude is not None
    assert found.longitude is not None
    assert found.accuracy is not None
    assert found.latitude % GRID == found.longitude % GRID == 0
    assert abs(found.latitude) <= 90 * DEGREE
    assert abs(found.longitude) <= 180 * DEGREE
    north = (found.latitude - latitude) / DEGREE * METRES_OF_DEGREE
    east = (found.longitude - longitude) / DEGREE * METRES_OF_DEGREE * math.cos(math.radians(latitude / DEGREE))
    assert math.hypot(north, east) + (accuracy or 0) <= found.accuracy


def test_half_a_place_is_none() -> None:
    assert coarse(Place(19_432_608, None, 30, "gps")) == NOWHERE
