"""Serial Shipping Container Codes under a company prefix: which come next (GS1 General Specifications, 3.2)."""

from collections.abc import Iterator

from app.core.errors import Conflict
from scanners.codes.check_digits import check_digit

BODY_LENGTH = 17


def bounds(prefix: str, extension: int) -> tuple[str, str]:
    """First and last SSCC with this extension digit under the prefix, as text bounds for a range query."""
    start = f"{extension}{prefix}"
    return start.ljust(18, "0"), start.ljust(18, "9")


def following(prefix: str, highest: str | None, quantity: int) -> list[str]:
    """`quantity` SSCCs in ascending order, the first after `highest` (an SSCC under the prefix, None for none yet).

    Raises Conflict when the prefix has no room for so many.
    """
    room = 10 ** (BODY_LENGTH - len(prefix))
    start = 0 if highest is None else _number(highest, prefix) + 1
    if start + quantity > room:
        raise Conflict(
            "Company prefix %(prefix)s has room for %(room)s more SSCCs only.",
            code="sscc_exhausted",
            fix="Use a shorter company prefix, or your own unused SSCCs.",
            prefix=prefix,
            room=room - start,
        )
    return list(_sequence(prefix, start, quantity))


def _number(sscc: str, prefix: str) -> int:
    return int(sscc[0] + sscc[1 + len(prefix) : BODY_LENGTH])


def _sequence(prefix: str, start: int, quantity: int) -> Iterator[str]:
    width = BODY_LENGTH - len(prefix)
    for number in range(start, start + quantity):
        digits = f"{number:0{width}d}"
        body = digits[0] + prefix + digits[1:]
        yield body + check_digit(body)
