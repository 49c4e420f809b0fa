"""Hard images: what a second look adds, that it reads nothing wrongly, and that it keeps places."""

import io
import random
from dataclasses import dataclass

import pytest
from PIL import Image, ImageChops, ImageFilter

from scanners.codes.symbol import png
from scanners.hard_images import MAXIMUM_PIXELS, second_looks
from scanners.images import FoundSymbol, decode, read_symbols


@dataclass(frozen=True)
class Photograph:
    text: str
    jpeg: bytes


def photograph(seed: int) -> Photograph:
    """A signed code as a poor camera sees it: 2 to 6 pixels a module, askew, blurred, unevenly lit, noisy, JPEG."""
    chance = random.Random(seed)  # noqa: S311 - any photograph will do
    text = f"HTTPS://ID.EXAMPLE.ORG/01/09521234567899/21/ABCDE0123456789AB?S=0{chance.randrange(10**166):0166d}"
    symbol = Image.open(io.BytesIO(png(text, module_pixels=8))).convert("L")
    page = Image.new("L", (symbol.width + 160, symbol.height + 160), chance.choice([255, 230, 200]))
    page.paste(symbol, (80, 80))
    side = page.width
    shift = [chance.uniform(0, 0.12) * side for _ in range(8)]
    outward = (-1, -1, -1, 1, 1, 1, 1, -1)
    origin = (0, 0, 0, side, side, side, side, 0)
    corners = tuple(start + sign * by for start, sign, by in zip(origin, outward, shift, strict=True))
    page = page.transform((side, side), Image.Transform.QUAD, corners, Image.Resampling.BICUBIC, fillcolor=220)
    page = page.rotate(chance.uniform(0, 360), Image.Resampling.BICUBIC, expand=True, fillcolor=220)
    pixels = chance.uniform(2, 6)
    scale = pixels / 8.8
    page = page.resize((int(page.width * scale), int(page.height * scale)), Image.Resampling.BOX)
    page = page.filter(ImageFilter.GaussianBlur(chance.uniform(0, 0.45) * pixels))
    light = Image.linear_gradient("L").resize(page.size).rotate(chance.choice([0, 90, 180, 270]))
    page = ImageChops.multiply(page, light.point(lambda value: 150 + value * 0.4))
    black = chance.uniform(0, 90)
    page = page.point(lambda value: black + value * (255 - black) / 255)
    page = ImageChops.add(page, noise(page.size, chance, chance.uniform(2, 40)), 1, -128)
    out = io.BytesIO()
    page.save(out, "JPEG", quality=chance.randint(30, 95))
    return Photograph(text, out.getvalue())


def noise(size: tuple[int, int], chance: random.Random, sigma: float) -> Image.Image:
    """Normal noise around 128; Pillow's own effect has no seed."""
    table = bytes(max(0, min(255, round(chance.gauss(128, sigma)))) for _ in range(65536))
    picked = chance.randbytes(2 * size[0] * size[1])
    pairs = zip(picked[::2], picked[1::2], strict=True)
    return Image.frombytes("L", size, bytes(table[high << 8 | low] for high, low in pairs))


@dataclass(frozen=True)
class Reading:
    photograph: Photograph
    first: list[FoundSymbol]
    all: list[FoundSymbol]


@pytest.fixture(scope="module")
def readings() -> list[Reading]:
    photographs = [photograph(seed) for seed in range(24)]
    return [Reading(one, decode(grey(one)), read_symbols(one.jpeg)) for one in photographs]


def grey(one: Photograph) -> Image.Image:
    return Image.open(io.BytesIO(one.jpeg)).convert("L")


def test_second_looks_read_half_as_many_again_and_nothing_wrongly(readings: list[Reading]) -> None:
    assert all(symbol.text == one.photograph.text for one in readings for symbol in one.all)
    first, second = (sum(map(bool, found)) for found in zip(*((one.first, one.all) for one in readings), strict=True))
    assert second >= first * 1.5
    assert second >= len(readings) * 0.55


def test_a_symbol_found_in_an_enlarged_image_keeps_its_place(readings: list[Reading]) -> None:
    second = [one for one in readings if one.all and not one.first]
    assert second
    for one in second:
        image = grey(one.photograph)
        assert one.all[0].centre == pytest.approx((image.width / 2, image.height / 2), rel=0.1)


def test_a_large_image_gets_no_second_look() -> None:
    assert list(second_looks(Image.new("L", (MAXIMUM_PIXELS // 1000 + 1, 1000)))) == []
    assert [factor for factor, _ in second_looks(Image.new("L", (60, 60)))] == [2, 3, 3]
