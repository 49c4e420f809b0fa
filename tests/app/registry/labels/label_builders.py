"""Labels for tests: signed codes of the true length, the same for the same number."""

import random

from app.registry.labels.sheets import Label

NAME = "Café molido de Chiapas, tueste medio"


def code(number: int) -> str:
    digits = random.Random(number)  # noqa: S311 - any digits will do
    serial = f"ABCDE{digits.randrange(10**12):012d}"
    return f"HTTPS://ID.MARCHAMO.ORG/01/09521234567899/21/{serial}?S=0{digits.randrange(10**166):0166d}"


def label(number: int) -> Label:
    serial = code(number).split("/21/")[1].split("?")[0]
    lines = (NAME, "(01) 09521234567899", "(10) LOTE-2026-47", f"(21) {serial}")
    return Label(code(number), lines, "Compruebe en id.marchamo.org")


def labels(count: int) -> list[Label]:
    return [label(number) for number in range(count)]
