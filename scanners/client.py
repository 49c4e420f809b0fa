"""A small client of the registry's API: what a scanner asks when it has a connection."""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

BATCH = 1_000
"""Codes sent in one request: the most the API takes."""
MAX_ANSWER = 64 * 1024 * 1024
TIMEOUT_SECONDS = 30.0


class ConnectionFailed(Exception):
    """The registry could not be reached, or refused; `message` is a sentence for a person."""

    def __init__(self, message: str, *, fix: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.fix = fix


@dataclass(frozen=True, slots=True)
class Registry:
    """The registry at `url`; `api_key` makes the answers those of a professional."""

    url: str
    api_key: str | None = None

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise ConnectionFailed("The registry's address must be http(s)://host[:port].")

    def verify(self, codes: Sequence[str]) -> Iterator[dict[str, Any]]:
        """Verify codes in batches; yields one item a code, in order: ``{"verdict": ... }`` or ``{"error": ... }``."""
        for start in range(0, len(codes), BATCH):
            answer = self._call("/v1/verify/batch", {"codes": list(codes[start : start + BATCH])})
            yield from answer["items"]

    def trust_list(self) -> bytes:
        """The trust list as the registry serves it."""
        return json.dumps(self._call("/v1/trust"), indent=1).encode()

    def proof(self, path: str) -> dict[str, Any]:
        """The proof bundle at a verdict's `proof_url`."""
        return self._call(path)

    def _call(self, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        headers = {"Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        if self.api_key:
            headers["Authorization"] = f"Bearer {self.api_key}"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url.rstrip("/") + path, data, headers)  # noqa: S310  checked above
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310
                found: dict[str, Any] = json.loads(answer.read(MAX_ANSWER))
                return found
        except urllib.error.HTTPError as error:
            raise _refusal(error) from error
        except (OSError, ValueError) as error:
            reason = getattr(error, "reason", error)
            raise ConnectionFailed(
                f"The registry at {self.url} cannot be reached: {reason}.",
                fix="Check the address, or check offline with --trust FILE.",
            ) from error


def _refusal(error: urllib.error.HTTPError) -> ConnectionFailed:
    try:
        problem = json.loads(error.read(100_000))
        return ConnectionFailed(str(problem["detail"]), fix=problem.get("fix"))
    except (ValueError, KeyError, TypeError):
        return ConnectionFailed(f"The registry answered {error.code}.")
