"""How guessable a password is, by zxcvbn (Wheeler, USENIX Security 2016): an estimate of an attacker's guesses.

The library's own front door keeps the person's words in a table shared by all threads; here they are given to its
matcher alone.
"""

import itertools
import re
import unicodedata
from collections.abc import Iterable

from zxcvbn import matching, scoring

ENOUGH_GUESSES = 10**8
"""Where zxcvbn's score becomes 3 of 4: safe against somebody who has the slow hash for a while, and far from guessing
at the sign-in."""
JUDGED = 32
"""Characters looked at in one go: matching costs the square of the length, for each way to undo figures for letters."""
OUR_WORDS = ("marchamo", "registry", "registro")
_SPANISH = """
    contraseña contrasena clave secreto acceso entrada usuario administrador empresa tienda negocio bienvenido
    bienvenida hola amor teamo tequiero familia princesa corazon corazón estrella mariposa futbol fútbol chivas pumas
    mexico méxico america américa puebla guadalajara monterrey guadalupe tequila chocolate enero febrero marzo abril
    mayo junio julio agosto septiembre octubre noviembre diciembre lunes martes viernes verano primavera
"""
SPANISH_WORDS = tuple(_SPANISH.split())
"""What people here take for a password; the library's own lists are English."""


def is_easy_to_guess(password: str, known: Iterable[str]) -> bool:
    """Whether too few guesses lead to the password. known: names and addresses that a guesser tries first.

    A long password is as strong as the stronger one of its two ends, at least. Costs a twentieth of a second at most.
    """
    words = list(dict.fromkeys([*OUR_WORDS, *(word for text in known for word in _words(text)), *SPANISH_WORDS]))
    dictionaries = {**matching.RANKED_DICTIONARIES, "user_inputs": matching.build_ranked_dict(words)}
    ends = dict.fromkeys([password[:JUDGED], password[-JUDGED:]])
    return all(_guesses(end, dictionaries) < ENOUGH_GUESSES for end in ends)


def _guesses(password: str, dictionaries: dict[str, dict[str, int]]) -> float:
    matches = matching.omnimatch(password, dictionaries)
    return float(scoring.most_guessable_match_sequence(password, matches)["guesses"])


def _words(text: str) -> list[str]:
    """The text and its parts, with and without accents, alone and in pairs: Café Sierra Azul gives sierraazul, too."""
    lowered = text.lower()[:300]
    plain = "".join(sign for sign in unicodedata.normalize("NFKD", lowered) if not unicodedata.combining(sign))
    words = [lowered, lowered.partition("@")[0]]
    for form in dict.fromkeys((lowered, plain)):
        parts = re.findall(r"[^\W_]+", form)
        words += ["".join(parts), *parts, *(first + second for first, second in itertools.pairwise(parts))]
    return [word for word in words if len(word) > 2]
