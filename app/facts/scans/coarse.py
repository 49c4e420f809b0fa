"""The grid that places of the public are rounded to, before anything is stored.

A tenth of a degree is 11 km from south to north, and at most as much from west to east. Clone rules look for groups of
scans some 60 km apart and for journeys that nobody can make: cells of this size keep both. A cell of 1 km would say in
which street somebody lives; this one says which town it was.
"""

from dataclasses import replace

from app.facts.epcis import NOWHERE, Place

GRID = 100_000
"""Millionths of a degree."""
ROUNDING_METRES = 7_900
"""How far rounding can move a place: half the diagonal of a cell at the equator, where cells are largest."""


def coarse(place: Place) -> Place:
    """Round a place to the grid; its accuracy then says how far off it can be, the device's own error included.

    Our page rounds before it sends, and says so in its accuracy: what lies on the grid already is not moved again.
    """
    if place.latitude is None or place.longitude is None:
        return NOWHERE
    latitude, longitude = round(place.latitude / GRID) * GRID, round(place.longitude / GRID) * GRID
    own = place.accuracy or 0
    moved = (latitude, longitude) != (place.latitude, place.longitude)
    accuracy = own + ROUNDING_METRES if moved else max(own, ROUNDING_METRES)
    return replace(place, latitude=latitude, longitude=longitude, accuracy=accuracy)
