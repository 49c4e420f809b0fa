"""Hard images: what a second look adds, that it reads nothing wrongly, and that it keeps places."""

import io
import random
from dataclasses import dataclass

import pytest
from PIL import Image, ImageChops, ImageFilter

from scanners.codes.symbol import png
from scanners.hard_images import MAXIMUM_PIXELS, second_looks
from scanners.images import decode, read_symbols


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


@pytest.fixture(scope="module")
def photographs() -> list[Photograph]:
    return [photograph(seed) for seed in range(40)]


def test_second_looks_read_half_as_many_again_and_nothing_wrongly(photographs: list[Photograph]) -> None:
    first = second = 0
    for one in photographs:
        first += bool(decode(Image.open(io.BytesIO(one.jpeg)).convert("L")))
        found = read_symbols(one.jpeg)
        assert {symbol.text for symbol in found} <= {one.text}
        second += bool(found)
    assert second >= first * 1.5
    assert second >= len(photographs) * 0.55


def test_a_symbol_found_in_an_enlarged_image_keeps_its_place(photographs: list[Photograph]) -> None:
    for one in photographs:
        grey = Image.open(io.BytesIO(one.jpeg)).convert("L")
        if not decode(grey):
            for symbol in read_symbols(one.jpeg):
                assert symbol.centre == pytest.approx((grey.width / 2, grey.height / 2), rel=0.1)


def test_a_large_image_gets_no_second_look() -> None:
    assert list(second_looks(Image.new("L", (MAXIMUM_PIXELS // 1000 + 1, 1000)))) == []
    assert [factor for factor, _ in second_looks(Image.new("L", (60, 60)))] == [2, 3, 3]
