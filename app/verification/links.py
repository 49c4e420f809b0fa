"""Codes as web addresses: back from a path that a server decoded to the text that was printed. Pure."""

import re
from urllib.parse import quote

# A server hands paths over decoded, so a "/" inside a serial (AI 21 allows it, printed as %2F) looks like a separator.
# In these two shapes everything behind the last key is the value.
_GTIN_PATH = re.compile(r"/01/(?P<gtin>[0-9]{14})(?P<middle>(?:/(?:22|10)/[^/]+)*)/21/(?P<serial>.+)")
_ITEM_PATH = re.compile(r"/i/(?P<issuer>[^/]+)/(?P<item>[^/]+)/(?P<serial>.+)")
_LANGUAGE = re.compile(r"(?:^|&)lang=[A-Za-z-]*(?=&|$)")


def printed_path(path: str) -> str:
    """Give the path as it is printed in a code, percent-encoded, from the decoded path of a request."""
    gtin = _GTIN_PATH.fullmatch(path)
    if gtin is not None:
        return f"/01/{gtin['gtin']}{_quoted(gtin['middle'])}/21/{quote(gtin['serial'], safe='')}"
    item = _ITEM_PATH.fullmatch(path)
    if item is not None:
        return f"/i/{item['issuer']}/{item['item']}/{quote(item['serial'], safe='')}"
    return _quoted(path)


def printed_text(stem: str, path: str, query: str) -> str:
    """Give the text of the code whose address, below `stem`, has this decoded path and raw query.

    The page's own parameter `lang` is no part of the code.
    """
    own = _LANGUAGE.sub("", query).lstrip("&")
    return f"{stem.lower()}{printed_path(path)}{'?' + own if own else ''}"


def _quoted(path: str) -> str:
    return "/".join(quote(part, safe="") for part in path.split("/"))
