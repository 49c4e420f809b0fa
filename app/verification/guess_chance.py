"""What a guess can win: computed from the serials that this program really makes. Pure; published on /transparency.

A signed code can not be guessed without forging an Ed25519 signature, whatever is known about its serial. What follows
is about compact codes, whose serial alone is the secret: the handle of the batch, and random characters.
"""

from scanners.codes.serial import ALPHABET, HANDLE_LENGTH, RANDOM_LENGTH


def serials_of_handle() -> int:
    """How many serials begin with one handle: 32 ** 12 = 2 ** 60."""
    return int(len(ALPHABET) ** RANDOM_LENGTH)


def serials_in_all() -> int:
    """How many serials there are, whatever the handle: 32 ** 17 = 2 ** 85."""
    return int(len(ALPHABET) ** (HANDLE_LENGTH + RANDOM_LENGTH))


def chance_with_handle(units: int) -> float:
    """Chance of one guess at a batch of `units` by somebody who has seen codes of it, and so knows its handle.

    Seen codes help no further: the random characters of one serial say nothing about those of another.
    """
    return units / serials_of_handle()


def chance_without_handle(units: int) -> float:
    """Chance of one guess by somebody who knows nothing; units: in all compact batches of the registry together."""
    return units / serials_in_all()


def chance_of_several(chance: float, guesses: int) -> float:
    """Chance that at least one of `guesses` hits; rounded up to their sum, which it never exceeds."""
    return min(1.0, chance * guesses)
