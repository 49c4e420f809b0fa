"""Second looks at an image in which nothing was found: small, blurred, noisy or badly lit codes.

A decoder samples one point a module; noise or blur at that point loses it. Smoothing takes the noise, enlarging gives
the decoder points between pixels, an unsharp mask gives back the contrast at the edges. The three looks here were
chosen out of 47 by what they add to each other on 300 photographs made by calculation (2 to 6 pixels a module, turned,
in perspective, unevenly lit, blurred, noisy, JPEG): 107 were read at the first look, 224 with the second looks, none
wrongly. `tests/scanners/test_hard_images.py` holds a smaller run to it. Nothing is guessed: what is read has passed the
symbol's own error correction.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from PIL import Image, ImageFilter

MAXIMUM_PIXELS: Final = 1_000_000
"""Larger images have pixels enough; at this size the three looks take about a second."""


@dataclass(frozen=True, slots=True)
class _Look:
    """Radius of the blur in pixels, whole factor of enlargement, radius and percentage of the unsharp mask."""

    blur: float
    factor: int
    sharpen_radius: float
    sharpen_percent: int


_LOOKS: Final = (_Look(0.7, 2, 4, 250), _Look(1.4, 3, 4, 250), _Look(0, 3, 6, 300))


def second_looks(grey: Image.Image) -> Iterator[tuple[int, Image.Image]]:
    """Yield each factor of enlargement with the image so treated; nothing for an image above a million pixels."""
    if grey.width * grey.height > MAXIMUM_PIXELS:
        return
    for look in _LOOKS:
        smooth = grey.filter(ImageFilter.GaussianBlur(look.blur)) if look.blur else grey
        size = (grey.width * look.factor, grey.height * look.factor)
        large = smooth.resize(size, Image.Resampling.BICUBIC)
        yield look.factor, large.filter(ImageFilter.UnsharpMask(look.sharpen_radius, look.sharpen_percent, 0))
