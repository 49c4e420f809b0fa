"""GS1 Digital Link URIs, syntax 1.6: strict parser, canonical form, builder.

Decisions where the standard leaves room: the right-most primary key of the path wins (what stands before it is the
stem); AIs are numeric and GTINs have 14 digits (no convenience alphas, no zero suppression); an all-digit key that is
no AI is refused; extension keys are kept in order but mean nothing here; a fragment is kept apart and means nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import quote

from scanners.codes.ai import (
    MAXIMUM_ELEMENTS,
    MAXIMUM_LENGTH,
    Elements,
    check_associations,
    check_repeats,
    check_values,
    dictionary,
    find_ai,
    is_valid_path_sequence,
)
from scanners.codes.element_string import format_element_string
from scanners.codes.errors import CodeError

DEFAULT_STEM = "https://id.gs1.org"

_SCHEMES = {"https": "https", "HTTPS": "https", "http": "http", "HTTP": "http"}
# RFC 3986, 2: unreserved, reserved, and the percent sign; everything else can not stand in a URI.
_URI = re.compile(r"[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]*")
# A registered name, an IPv4 address in any notation, or a bracketed IPv6 address; a port; never user information.
_AUTHORITY = re.compile(r"(?P<host>[A-Za-z0-9.\-]+|\[[0-9A-Fa-f:.]+\])(?::(?P<port>[0-9]{1,5}))?")
_DEFAULT_PORTS = {"https": 443, "http": 80}
_ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})")
_UNRESERVED = re.compile(r"[A-Za-z0-9\-._~]*")
_DIGITS = re.compile(r"[0-9]+")


class WebAddress(NamedTuple):
    """A split URI: scheme and host (with a port that is not the default) in lower case, the rest raw."""

    scheme: str
    host: str
    path: str
    query: str
    fragment: str | None


@dataclass(frozen=True, slots=True)
class DigitalLink:
    """A parsed URI. `elements` are (AI, value) in URI order: primary key, qualifiers, then attributes of the query.

    `scheme` and `host` (with a port that is not the default) are lower case; `prefix_path` is the raw stem path
    without trailing slash; `extensions` are the other query parameters, decoded, in order; `path_elements` counts the
    elements that stand in the path.
    """

    scheme: str
    host: str
    prefix_path: str
    elements: Elements
    extensions: tuple[tuple[str, str], ...]
    fragment: str | None
    path_elements: int

    @property
    def primary(self) -> tuple[str, str]:
        """The primary key: (AI, value)."""
        return self.elements[0]

    def value(self, ai: str) -> str | None:
        """Return the value of an AI, None where it is absent."""
        return next((value for key, value in self.elements if key == ai), None)

    def canonical(self) -> str:
        """Return the one form of this link: attributes ascending by AI, extensions after them, no fragment."""
        path = "".join(f"/{ai}/{escape_path(value)}" for ai, value in self.elements[: self.path_elements])
        attributes = sorted(self.elements[self.path_elements :])
        return f"{self.scheme}://{self.host}{self.prefix_path}{path}{_query(attributes, self.extensions)}"

    def element_string(self) -> str:
        """Return the GS1 element string in URI order, with "^" for FNC1."""
        return format_element_string(self.elements)


def escape_path(value: str) -> str:
    """Percent-encode all but unreserved characters (RFC 3986, 2.3) for a path segment; one byte per character."""
    return value if _UNRESERVED.fullmatch(value) else quote(value, safe="", encoding="latin-1")


def escape_query(value: str) -> str:
    """Percent-encode for a query value: like a path segment, but a space is "+"."""
    return escape_path(value).replace("%20", "+")


def unescape_path(text: str) -> str:
    """Undo percent-encoding of a path segment, byte by byte; what is no escape stays."""
    if "%" not in text:
        return text
    return _ESCAPE.sub(lambda match: chr(int(match[1], 16)), text)


def unescape_query(text: str) -> str:
    """Undo percent-encoding of a query value, where "+" means a space."""
    return unescape_path(text.replace("+", " ") if "+" in text else text)


def parse_digital_link(text: str, *, deep: bool = True) -> DigitalLink:
    """Parse a URI of at most 2,048 characters.

    With `deep` the values are linted (check digits, dates, country codes ...) and the associations between AIs are
    checked; without it only the syntax is. Raises CodeError: "too_long", "uri_characters", "scheme", "host",
    "no_path", "no_key", "ai_order", "empty_value", "value_length", "value_characters", "unknown_ai", "attribute",
    "repeated_ai", "too_many_ais", and with `deep` the linters' and associations' codes.
    """
    return digital_link_at(split_uri(text), deep=deep)


def digital_link_at(address: WebAddress, *, deep: bool = True) -> DigitalLink:
    """Read an address that was split already as a Digital Link; see `parse_digital_link`."""
    prefix_path, elements = _parse_path(address.path)
    in_path = len(elements)
    attributes, extensions = parse_query(address.query)
    elements += attributes
    if len(elements) > MAXIMUM_ELEMENTS:
        raise CodeError("too_many_ais", f"A code has at most {MAXIMUM_ELEMENTS} application identifiers.")
    _check_roles(elements, in_path)
    check_values(elements, deep=deep)
    result = tuple(elements)
    if deep:
        check_associations(result)
    return DigitalLink(address.scheme, address.host, prefix_path, result, tuple(extensions), address.fragment, in_path)


def build_digital_link(
    elements: Iterable[tuple[str, str]], *, stem: str = DEFAULT_STEM, extensions: Iterable[tuple[str, str]] = ()
) -> str:
    """Write AIs as a URI: the first primary key among them, its longest qualifier sequence, the rest as attributes.

    Identical repeats are written once. Raises CodeError ("no_key", "attribute", "repeated_ai", value codes).
    """
    unique = list(dict.fromkeys(elements))
    check_repeats(unique)
    check_values(unique, deep=True)
    values = dict(unique)
    entries = dictionary()
    primary = next((ai for ai in values if entries[ai].qualifiers is not None), None)
    if primary is None:
        raise CodeError("no_key", "A Digital Link needs a primary key such as (01) or (00).")
    alternatives = entries[primary].qualifiers or ()
    sequences = [[ai for ai in alternative if ai in values] for alternative in alternatives]
    path = [primary, *max(sequences, key=len, default=[])]
    # Attributes of predefined length first, like the element string that needs the fewest separators.
    rest = [pair for pair in unique if pair[0] not in path]
    attributes = sorted(rest, key=lambda pair: not entries[pair[0]].fixed_length)
    for ai, _ in attributes:
        if not entries[ai].data_attribute:
            raise CodeError("attribute", f"AI ({ai}) can not be an attribute of a Digital Link with key ({primary}).")
    check_associations(tuple(unique))
    written = "".join(f"/{ai}/{escape_path(values[ai])}" for ai in path)
    return f"{stem.rstrip('/')}{written}{_query(attributes, extensions)}"


def split_uri(text: str) -> WebAddress:
    """Split a web URI; strict.

    Raises CodeError ("too_long", "uri_characters", "scheme", "host", "no_path").
    """
    if len(text) > MAXIMUM_LENGTH:
        raise CodeError("too_long", f"A code has at most {MAXIMUM_LENGTH} characters.")
    if not _URI.fullmatch(text):
        raise CodeError("uri_characters", "The link contains characters that no web address has.")
    scheme, separator, rest = text.partition("://")
    if not separator or scheme not in _SCHEMES:
        raise CodeError("scheme", "The link must begin with https:// or HTTPS:// (or http), not in mixed case.")
    scheme = _SCHEMES[scheme]
    rest, hash_sign, fragment = rest.partition("#")
    rest, _, query = rest.partition("?")
    authority, slash, path = rest.partition("/")
    if not authority or not slash:
        raise CodeError("no_path", "The link must have a host and a path.")
    host = _parse_authority(scheme, authority)
    return WebAddress(scheme, host, slash + path, query, fragment if hash_sign else None)


def parse_query(query: str) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Split a raw query into AI attributes and extension parameters, both decoded, in order.

    Raises CodeError ("unknown_ai", "escaped_key", "empty_value").
    """
    attributes: list[tuple[str, str]] = []
    extensions: list[tuple[str, str]] = []
    if not query:
        return attributes, extensions
    for parameter in query.split("&"):
        key, equals, value = parameter.partition("=")
        if not equals or not _DIGITS.fullmatch(key):
            if not parameter:
                continue
            name = unescape_query(key)
            if name != key and (_DIGITS.fullmatch(name) or (len(name) == 1 and name.isalnum())):
                # "%31%37" is "17" to a proxy and nothing to a GS1 parser: one code must not have two readings.
                raise CodeError("escaped_key", "A parameter's name is written in percent-encoding without need.")
            extensions.append((name, unescape_query(value)))
            continue
        find_ai(key)
        attributes.append((key, _decoded(key, unescape_query(value))))
    return attributes, extensions


def _parse_authority(scheme: str, authority: str) -> str:
    match = _AUTHORITY.fullmatch(authority)
    if not match or match["host"].startswith(".") or ".." in match["host"]:
        raise CodeError("host", "The link's host is not a host name or address.")
    host = match["host"].lower()
    if match["port"] is None:
        return host
    port = int(match["port"])
    if port > 65535:
        raise CodeError("host", "The link's port is out of range.")
    return host if port == _DEFAULT_PORTS[scheme] else f"{host}:{port}"


def _parse_path(path: str) -> tuple[str, list[tuple[str, str]]]:
    """Walk the path from its end in pairs of AI and value until a primary key is met."""
    entries = dictionary()
    segments = path.split("/")
    position = len(segments) - 2
    while position >= 1:
        entry = entries.get(segments[position])
        if entry is None:
            break
        if entry.qualifiers is not None:
            pairs = zip(segments[position::2], segments[position + 1 :: 2], strict=True)
            return "/".join(segments[:position]), [(ai, _decoded(ai, unescape_path(value))) for ai, value in pairs]
        position -= 2
    raise CodeError("no_key", "The link's path contains no GS1 key such as /01/<GTIN>.")


def _check_roles(elements: list[tuple[str, str]], in_path: int) -> None:
    path = [ai for ai, _ in elements[:in_path]]
    if not is_valid_path_sequence(path):
        raise CodeError("ai_order", f"The keys {'/'.join(path)} do not form a valid path, in this order.")
    seen = set(path)
    for ai, _ in elements[in_path:]:
        if ai in seen:
            raise CodeError("repeated_ai", f"AI ({ai}) is repeated.")
        seen.add(ai)
        if not dictionary()[ai].data_attribute:
            raise CodeError("attribute", f"AI ({ai}) can not stand in the query of a Digital Link.")
        if any(is_valid_path_sequence([*path[:cut], ai, *path[cut:]]) for cut in range(1, in_path + 1)):
            raise CodeError("attribute", f"AI ({ai}) belongs into the path of this link, not into its query.")


def _decoded(ai: str, value: str) -> str:
    if not value:
        raise CodeError("empty_value", f"The value of AI ({ai}) is empty.")
    return value


def _query(attributes: Iterable[tuple[str, str]], extensions: Iterable[tuple[str, str]]) -> str:
    parameters = [f"{ai}={escape_query(value)}" for ai, value in attributes]
    parameters += [f"{escape_path(key)}={escape_path(value)}" for key, value in extensions]
    return "?" + "&".join(parameters) if parameters else ""
