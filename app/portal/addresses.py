"""Where a code's page is."""

from urllib.parse import urlsplit


def verify_path(code: str) -> str:
    """Give the address on this host of the page about a code of ours, from the code's full text."""
    parts = urlsplit(code)
    return f"/verify{parts.path}" + (f"?{parts.query}" if parts.query else "")
