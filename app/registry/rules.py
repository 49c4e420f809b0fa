"""What a batch may be: pure checks of one request, every fault at its place."""

from collections.abc import Sequence

from app.core.errors import Faults
from app.registry.unit_id import MAX_BATCH_SIZE
from app.registry.values import CommissionRequest
from app.registry.vocabulary import PROFILES_OF_KIND, Profile
from scanners.codes.ai import check_values
from scanners.codes.check_digits import has_valid_check_digit
from scanners.codes.errors import CodeError
from scanners.codes.identity import CodeKind
from scanners.codes.serial import check_supplied_serial, serials_are_unguessable

MAX_NOTE = 500
MAX_PARTS = 1_000
"""Batches that one job can make."""
SSCC_LENGTH = 18
MAX_FAULTS = 1_000
"""Faults reported of one file; a file that is wrong throughout needs no longer list."""


def check_request(request: CommissionRequest, kind: CodeKind, faults: Faults) -> None:
    """Note every fault of the request that can be seen without the database."""
    if request.profile not in PROFILES_OF_KIND[kind]:
        allowed = " or ".join(sorted(PROFILES_OF_KIND[kind]))
        faults.add("/profile", f"The profile of these goods is {allowed}.", "profile")
    if (request.quantity is None) == (request.serials is None):
        faults.add("/quantity", "Give either a quantity or serials of your own.", "quantity")
    size = len(request.serials) if request.serials is not None else request.quantity or 0
    if not 1 <= size <= MAX_BATCH_SIZE:
        faults.add("/quantity", f"A batch has 1 to {MAX_BATCH_SIZE:,} units.", "quantity")
    if len(request.note) > MAX_NOTE or "\x00" in request.note:
        faults.add("/note", f"The note has at most {MAX_NOTE} characters.", "note")
    if kind is CodeKind.CASE and (request.lot is not None or request.expiry is not None):
        faults.add("/lot", "A case has no lot and no expiry: its contents have.", "lot")
    check_lot(request.lot, "/lot", faults)
    check_expiry(request.expiry, "/expiry", faults)
    if request.serials is not None:
        check_serials(request, kind, faults)


def check_lot(lot: str | None, where: str, faults: Faults) -> None:
    """A lot has 1 to 20 of GS1's 82 characters (AI 10)."""
    _check_element(
        "10", lot, where, "A lot has 1 to 20 characters of the GS1 set of 82 (letters, digits, - . / ...).", faults
    )


def check_expiry(expiry: str | None, where: str, faults: Faults) -> None:
    """An expiry date is YYMMDD (AI 17); day 00 stands for the end of the month."""
    _check_element("17", expiry, where, "An expiry date is written YYMMDD, such as 271231.", faults)


def _check_element(ai: str, value: str | None, where: str, sentence: str, faults: Faults) -> None:
    if value is None:
        return
    try:
        check_values(((ai, value),), deep=True)
    except CodeError as error:
        faults.add(where, sentence, error.code)


def check_serials(request: CommissionRequest, kind: CodeKind, faults: Faults) -> None:
    """Supplied serials: each allowed, none twice, and unguessable where no signature protects them."""
    serials = request.serials or ()
    first_place: dict[str, int] = {}
    for position, serial in enumerate(serials):
        if len(faults.items) >= MAX_FAULTS:
            return
        problem = _serial_problem(serial, kind, request.case_prefix)
        if problem is not None:
            faults.add(serial_place(request, position), problem[1], problem[0])
        earlier = first_place.setdefault(serial, position)
        if earlier != position:
            faults.add(
                serial_place(request, position),
                f"The serial {shown(serial)} stands already in {serial_place(request, earlier)}.",
                "duplicate_serial",
            )
    if request.profile is Profile.COMPACT and not faults.items and not serials_are_unguessable(serials):
        faults.add(
            "/profile",
            "Your serials can be guessed, and no signature protects a compact code: choose the signed profile.",
            "guessable_serials",
        )


def _serial_problem(serial: str, kind: CodeKind, case_prefix: str | None) -> tuple[str, str] | None:
    """(code, sentence) of what is wrong with one serial, or None."""
    if kind is not CodeKind.CASE:
        try:
            check_supplied_serial(serial)
        except CodeError as error:
            return error.code, f"{error.message} This one is {shown(serial)}."
        return None
    if not (serial.isascii() and serial.isdigit()) or len(serial) != SSCC_LENGTH:
        return "sscc", f"An SSCC has 18 digits. This one is {shown(serial)}."
    if not has_valid_check_digit(serial):
        return "check_digit", f"The check digit of SSCC {serial} is wrong."
    if not serial[1:].startswith(case_prefix or ""):
        return "sscc", f"SSCC {serial} does not belong to company prefix {case_prefix}."
    return None


def serial_place(request: CommissionRequest, position: int) -> str:
    """Where a serial stood in the caller's input."""
    if request.serial_places is not None:
        return request.serial_places[position]
    return f"/serials/{position}"


def shown(text: str) -> str:
    """A caller's text as it may stand in a message: short, and nothing invisible."""
    plain = "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text[:40])
    return f"“{plain}{'…' if len(text) > 40 else ''}”"


def positions_of(serials: Sequence[str], wanted: Sequence[str]) -> list[int]:
    """Positions of the `wanted` serials, ascending."""
    names = set(wanted)
    return [position for position, serial in enumerate(serials) if serial in names]
