"""Check digits and check characters of GS1 keys (GS1 General Specifications, section 7.9)."""

from __future__ import annotations

# Section 7.9.5: a check pair counts modulo 1021 with prime weights, and is written in 32 characters.
CHECK_CHARACTERS = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
CHARACTER_VALUES = """!"%&'()*+,-./0123456789:;<=>?ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz"""
PRIMES = tuple(n for n in range(2, 510) if all(n % divisor for divisor in range(2, int(n**0.5) + 1)))
_VALUE_OF = {character: value for value, character in enumerate(CHARACTER_VALUES)}


def check_digit(body: str) -> str:
    """Return the modulo-10 check digit that follows `body` (ASCII digits): weights 3, 1, 3, ... from the right."""
    digits = [ord(character) - 48 for character in reversed(body)]
    return str(-(3 * sum(digits[::2]) + sum(digits[1::2])) % 10)


def has_valid_check_digit(digits: str) -> bool:
    """Tell whether the last of `digits` (ASCII digits only, at least one) is their check digit."""
    values = digits.encode()
    # 48 is the code of "0"; the digits before the last are weighted 3, 1, 3, ... from the right.
    odd = values[-2::-2]
    even = values[-1::-2]
    return (3 * (sum(odd) - 48 * len(odd)) + sum(even) - 48 * len(even)) % 10 == 0


def check_pair(body: str) -> str:
    """Return the two check characters of an alphanumeric key (GMN, MUDI) whose other characters are `body`.

    `body` consists of the 82 GS1 characters, at most 97 of them (23 in a GMN); raises KeyError on another one.
    """
    weights = PRIMES[: len(body)][::-1]
    total = sum(_VALUE_OF[character] * weight for character, weight in zip(body, weights, strict=True)) % 1021
    return CHECK_CHARACTERS[total >> 5] + CHECK_CHARACTERS[total & 31]
