"""GS1 application identifiers, read from the GS1 Barcode Syntax Dictionary that lies beside this module.

The dictionary (release 2026-01-27, Apache-2.0, GS1 AISBL) states format, components, linters, Digital Link roles and
associations of every AI; nothing of that is repeated in code.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files

from scanners.codes.errors import CodeError
from scanners.codes.linters import lint

Elements = tuple[tuple[str, str], ...]

# Limits of every code that is read or written here.
MAXIMUM_ELEMENTS = 63
MAXIMUM_LENGTH = 2048

_CHARSETS = {
    "N": "[0-9]",
    "X": """[!"%&'()*+,\\-./0-9:;<=>?A-Z_a-z]""",
    "Y": "[#\\-/0-9A-Z]",
    # Padding only at the end: that is for the linter cset64, which every Z component gets.
    "Z": "[A-Za-z0-9_=\\-]",
}
_CHARSET_NAMES = {"N": "digits", "X": "the 82 GS1 characters", "Y": "digits, A-Z, #, -, /", "Z": "base64url characters"}
_COMPONENT = re.compile(
    r"(?P<open>\[)?(?P<charset>[NXYZ])(?P<upto>\.\.)?(?P<length>[0-9]+)(?(open)\])(?P<linters>(,\w+)*)"
)
_DIGITAL_SIGNATURE_KEYS = {"253": 13, "255": 13, "8003": 14}


@dataclass(frozen=True, slots=True)
class Component:
    """One part of a value: character set (N, X, Y, Z), length limits in characters, and linters by name."""

    charset: str
    minimum: int
    maximum: int
    optional: bool
    linters: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ApplicationIdentifier:
    """One entry of the dictionary.

    `qualifiers` is None for an AI that is no Digital Link primary key; otherwise its alternatives of ordered,
    optional key qualifiers (possibly the one empty alternative). `required` holds, for each `req`, alternatives of AI
    groups; `excluded` the AIs or patterns ("394n") it must not meet.
    """

    ai: str
    title: str
    components: tuple[Component, ...]
    fixed_length: bool
    data_attribute: bool
    qualifiers: tuple[tuple[str, ...], ...] | None = None
    required: tuple[tuple[tuple[str, ...], ...], ...] = ()
    excluded: tuple[str, ...] = ()
    pattern: re.Pattern[str] = field(init=False, repr=False, compare=False)
    has_linters: bool = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "pattern", re.compile(_component_pattern(self.components)))
        object.__setattr__(self, "has_linters", any(component.linters for component in self.components))

    @property
    def minimum_length(self) -> int:
        """The shortest value, in characters."""
        return sum(component.minimum for component in self.components if not component.optional)

    @property
    def maximum_length(self) -> int:
        """The longest value, in characters."""
        return sum(component.maximum for component in self.components)

    def check(self, value: str) -> None:
        """Check length and characters. Raises CodeError ("value_length", "value_characters")."""
        if self.pattern.fullmatch(value):
            return
        if not self.minimum_length <= len(value) <= self.maximum_length:
            fault = "too short" if len(value) < self.minimum_length else "too long"
            raise CodeError("value_length", f"The value of AI ({self.ai}) is {fault}.")
        charsets = dict.fromkeys(component.charset for component in self.components)
        names = ", then ".join(_CHARSET_NAMES[charset] for charset in charsets)
        raise CodeError("value_characters", f"The value of AI ({self.ai}) must consist of: {names}.")

    def lint(self, value: str) -> None:
        """Check what the value means (check digits, dates, country codes ...) of a value that passed `check`.

        Raises CodeError with the linter's own code ("check_digit", "date", "country" ...).
        """
        if not self.has_linters:
            return
        for part, component in self.split(value):
            for linter in component.linters:
                lint(linter, part, ai=self.ai)

    def split(self, value: str) -> Iterator[tuple[str, Component]]:
        """Yield each component of a value that passed `check`, with its definition."""
        start = 0
        for component in self.components:
            part = value[start : start + component.maximum]
            if not part:
                return
            yield part, component
            start += len(part)


@cache
def dictionary() -> Mapping[str, ApplicationIdentifier]:
    """Return every AI of the dictionary by its digits; read once."""
    text = files("scanners.codes").joinpath("gs1-syntax-dictionary.txt").read_text(encoding="utf-8")
    entries: dict[str, ApplicationIdentifier] = {}
    for line in text.splitlines():
        if line and not line.startswith("#"):
            entries.update((entry.ai, entry) for entry in _parse_entry(line))
    return entries


def find_ai(ai: str) -> ApplicationIdentifier:
    """Return an AI's definition. Raises CodeError ("unknown_ai")."""
    entry = dictionary().get(ai)
    if entry is None:
        raise CodeError("unknown_ai", f"({ai[:8]}) is not a GS1 application identifier.")
    return entry


def is_valid_path_sequence(ais: Iterable[str]) -> bool:
    """Tell whether AIs are one primary key and qualifiers of one of its alternatives, in order (GS1 Digital Link)."""
    primary, *rest = ais
    entry = dictionary().get(primary)
    if entry is None or entry.qualifiers is None:
        return False
    return any(_is_subsequence(rest, alternative) for alternative in entry.qualifiers)


def check_values(elements: Iterable[tuple[str, str]], *, deep: bool) -> None:
    """Check every value's length and characters, and with `deep` what it means; codes as of `check` and `lint`."""
    entries = dictionary()
    for ai, value in elements:
        entry = entries.get(ai) or find_ai(ai)
        entry.check(value)
        if deep:
            entry.lint(value)


def check_repeats(elements: Iterable[tuple[str, str]]) -> None:
    """Refuse an AI that comes twice with different values. Raises CodeError ("repeated_ai")."""
    seen: dict[str, str] = {}
    for ai, value in elements:
        if seen.setdefault(ai, value) != value:
            raise CodeError("repeated_ai", f"AI ({ai}) is repeated with different values.")


def check_exclusions(elements: Iterable[tuple[str, str]]) -> None:
    """Refuse AIs that must not stand together (`ex`). Raises CodeError ("excluded_ai")."""
    present = [ai for ai, _ in elements]
    entries = dictionary()
    for ai in present:
        for pattern in entries[ai].excluded if ai in entries else ():
            other = next((other for other in present if other != ai and _matches(other, pattern)), None)
            if other is not None:
                raise CodeError("excluded_ai", f"AI ({ai}) must not stand together with AI ({other}).")


def check_requisites(elements: Iterable[tuple[str, str]]) -> None:
    """Refuse AIs without those they need (`req`). Raises CodeError ("required_ai")."""
    present = [ai for ai, _ in elements]
    entries = dictionary()
    for ai in present:
        for alternatives in entries[ai].required if ai in entries else ():
            if not any(all(_is_present(present, pattern) for pattern in group) for group in alternatives):
                wanted = " or ".join("+".join(group) for group in alternatives)
                raise CodeError("required_ai", f"AI ({ai}) needs {wanted} beside it.")


def check_signed_keys_are_serialised(elements: Iterable[tuple[str, str]]) -> None:
    """Refuse a DigSig (8030) beside a GDTI, GCN or GRAI without serial component. Raises ("required_serial")."""
    values = dict(elements)
    if "8030" not in values:
        return
    for ai, length in _DIGITAL_SIGNATURE_KEYS.items():
        if ai in values and len(values[ai]) <= length:
            raise CodeError("required_serial", f"AI (8030) needs the serial component of AI ({ai}).")


def check_associations(elements: Elements) -> None:
    """Apply every rule about AIs that stand together: repeats, `ex`, `req`, and DigSig beside serialised keys."""
    check_repeats(elements)
    check_exclusions(elements)
    check_requisites(elements)
    check_signed_keys_are_serialised(elements)


def _is_subsequence(part: list[str], whole: tuple[str, ...]) -> bool:
    remaining = iter(whole)
    return all(ai in remaining for ai in part)


def _matches(ai: str, pattern: str) -> bool:
    """Tell whether an AI is the one named, or one of a pattern such as "394n"."""
    return ai == pattern or (pattern[-1] == "n" and len(ai) == len(pattern) and ai.startswith(pattern.rstrip("n")))


def _is_present(present: list[str], pattern: str) -> bool:
    return pattern in present or (pattern[-1] == "n" and any(_matches(ai, pattern) for ai in present))


def _component_pattern(components: tuple[Component, ...]) -> str:
    pattern = closing = ""
    for component in components:
        if component.optional:
            pattern += "(?:"
            closing += ")?"
        pattern += f"{_CHARSETS[component.charset]}{{{component.minimum},{component.maximum}}}"
    return pattern + closing


def _parse_entry(line: str) -> Iterator[ApplicationIdentifier]:
    definition, _, title = line.partition("#")
    name, *words = definition.split()
    flags = ""
    if not _COMPONENT.fullmatch(words[0]):
        flags = words.pop(0)
    components: list[Component] = []
    while words and (match := _COMPONENT.fullmatch(words[0])):
        components.append(_parse_component(match))
        words.pop(0)
    qualifiers: tuple[tuple[str, ...], ...] | None = None
    required: list[tuple[tuple[str, ...], ...]] = []
    excluded: tuple[str, ...] = ()
    for word in words:
        key, _, value = word.partition("=")
        if key == "dlpkey":
            qualifiers = tuple(tuple(filter(None, part.split(","))) for part in value.split("|"))
        elif key == "req":
            required.append(tuple(tuple(group.split("+")) for group in value.split(",")))
        elif key == "ex":
            excluded += tuple(value.split(","))
    first, _, last = name.partition("-")
    for number in range(int(first), int(last or first) + 1):
        yield ApplicationIdentifier(
            ai=str(number).zfill(len(first)),
            title=title.strip(),
            components=tuple(components),
            fixed_length="*" in flags,
            data_attribute="?" in flags,
            qualifiers=qualifiers,
            required=tuple(required),
            excluded=excluded,
        )


def _parse_component(match: re.Match[str]) -> Component:
    maximum = int(match["length"])
    return Component(
        charset=match["charset"],
        minimum=1 if match["upto"] else maximum,
        maximum=maximum,
        optional=match["open"] is not None,
        linters=(("cset64",) if match["charset"] == "Z" else ()) + tuple(filter(None, match["linters"].split(","))),
    )
