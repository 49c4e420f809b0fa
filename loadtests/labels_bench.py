"""Label sheets from unit to checked PDF, on one core: ``python -m loadtests.labels_bench``.

Each round makes fresh units, signs them, draws them on the commonest sheet and reads every label back from the
finished file's pages at 203 and at 300 dpi. Figures are units per second of processor time of this one process (what
one core does, whoever else is on the machine), medians of the rounds; wall time stands beside the whole. Goals:
1,000 signed units a second, 500 labels a second with both readings. Exit status 1 below a goal.
"""

import argparse
import io
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from app.registry.labels.check import verify_pdf
from app.registry.labels.sheets import LAYOUTS, Label, render_pdf
from scanners.codes.build import code_text
from scanners.codes.identity import CodeIdentity, CodeKind
from scanners.codes.serial import generate_serials
from scanners.codes.signature import sign_code
from scanners.codes.symbol import fast_symbol, symbol_matrix

GTIN: Final = "09521234567899"
LOT: Final = "LOTE-2026-47"
STEM: Final = "https://id.marchamo.org"
LAYOUT: Final = LAYOUTS["letter-3x10"]
RESOLUTIONS: Final = (203, 300)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Figure:
    """Units a second of one step, and the goal it is held to, where there is one."""

    step: str
    per_second: float
    goal: float | None = None

    @property
    def met(self) -> bool:
        """Whether the goal is reached."""
        return self.goal is None or self.per_second >= self.goal


@dataclass(slots=True)
class _Clock:
    """Processor and wall seconds of each step, one entry a round."""

    processor: dict[str, list[float]]
    wall: dict[str, list[float]]

    def run(self, step: str, work: Callable[[], T]) -> T:
        wall, processor = time.perf_counter(), time.process_time()
        result = work()
        self.processor.setdefault(step, []).append(time.process_time() - processor)
        self.wall.setdefault(step, []).append(time.perf_counter() - wall)
        return result


def measure(*, labels: int = 1500, rounds: int = 5) -> list[Figure]:
    """Measure every step of `labels` labels, `rounds` times; raises RuntimeError when a label does not read back."""
    clock = _Clock({}, {})
    key = Ed25519PrivateKey.generate()
    for _ in range(rounds):
        _round(clock, key, labels)

    def rate(*steps: str, seconds: dict[str, list[float]]) -> float:
        per_round: list[float] = [sum(times) for times in zip(*(seconds[step] for step in steps), strict=True)]
        return labels / statistics.median(per_round)

    checks = [f"check at {dpi} dpi" for dpi in RESOLUTIONS]
    whole = ["sign", "draw", *checks]
    figures = [Figure(step, rate(step, seconds=clock.processor)) for step in clock.processor]
    sign = next(figure for figure in figures if figure.step == "sign")
    figures[figures.index(sign)] = Figure(sign.step, sign.per_second, goal=1000)
    figures += [
        Figure("draw + both checks", rate("draw", *checks, seconds=clock.processor), goal=500),
        Figure("unit to checked PDF", rate(*whole, seconds=clock.processor), goal=500),
        Figure("unit to checked PDF, wall time", rate(*whole, seconds=clock.wall)),
        Figure("for comparison: symbols by qrcode", _qrcode_rate()),
    ]
    return figures


def _round(clock: _Clock, key: Ed25519PrivateKey, count: int) -> None:
    texts = clock.run("sign", lambda: _signed_codes(key, count))
    sheet = [_label(text) for text in texts]
    clock.run("symbols alone, by zxing-cpp (part of draw)", lambda: [fast_symbol(text) for text in texts])
    out = io.BytesIO()
    clock.run("draw", lambda: render_pdf(sheet, LAYOUT, out=out, title=LOT))
    for dpi in RESOLUTIONS:
        check = partial(verify_pdf, out.getvalue(), texts, layout=LAYOUT, dpi=(dpi,))
        report = clock.run(f"check at {dpi} dpi", check)
        if not report.released:
            raise RuntimeError(f"{report.expected - report.read} labels did not read back at {dpi} dpi")


def _signed_codes(key: Ed25519PrivateKey, count: int) -> list[str]:
    texts = []
    for serial in generate_serials("ABCDE", count):
        identity = CodeIdentity(CodeKind.GTIN, GTIN, serial)
        texts.append(code_text(identity, stem=STEM, signature=sign_code(key, identity, (), 7)))
    return texts


def _label(text: str) -> Label:
    serial = text.partition("/21/")[2].partition("?")[0]
    lines = ("Café molido de Chiapas, tueste medio, 500 g", f"(01) {GTIN}", f"(10) {LOT}", f"(21) {serial}")
    return Label(text, lines, "Compruebe en id.marchamo.org")


def _qrcode_rate(count: int = 40) -> float:
    texts = _signed_codes(Ed25519PrivateKey.generate(), count)
    start = time.process_time()
    for text in texts:
        symbol_matrix(text)
    return count / (time.process_time() - start)


def main() -> int:
    """Print the figures as a table; 1 when a goal is missed."""
    parser = argparse.ArgumentParser(description="Measure label sheets on one core.")
    parser.add_argument("--labels", type=int, default=1500)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    figures = measure(labels=arguments.labels, rounds=arguments.rounds)
    print(f"{arguments.labels} labels on {LAYOUT.name}, median of {arguments.rounds} rounds, units/s of one core\n")
    for figure in figures:
        goal = "" if figure.goal is None else f"  goal {figure.goal:,.0f}: {'met' if figure.met else 'MISSED'}"
        print(f"{figure.step:<45}{figure.per_second:>9,.0f}{goal}")
    return 0 if all(figure.met for figure in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
