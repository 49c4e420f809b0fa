"""A small client of the registry's API: what a scanner asks when it has a connection.

The answer of a server is outside input: bounded, strictly read, and never followed to another address, because the API
key would go with the request.
"""

import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from scanners.log_memory import LogMemory, MemoryRefusal

BATCH = 1_000
"""Codes sent in one request: the most the API takes."""
MAX_ANSWER = 64 * 1024 * 1024
"""Bytes of one answer: a thousand verdicts have about 3 MB."""
MAX_SENTENCE = 500
TIMEOUT_SECONDS = 30.0
MALFORMED = 400
NOT_OURS = "checkpoint_not_ours"
"""The code of the refusal of a checkpoint that the registry's ledger did not sign."""
TOO_MANY = 429

Item = dict[str, Any]


class ConnectionFailed(Exception):
    """The registry could not be reached, or refused; `message` is a sentence for a person."""

    def __init__(self, message: str, *, fix: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.fix = fix


class Unreachable(ConnectionFailed):
    """Nothing answered at the registry's address."""


class _Refusal(ConnectionFailed):
    """The registry answered with problem details (RFC 9457)."""

    def __init__(self, status: int, code: str, message: str, *, fix: str | None) -> None:
        super().__init__(message, fix=fix)
        self.status = status
        self.code = code


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Answers a redirect with the error that it is: urllib would send the API key along to any other host."""

    def redirect_request(self, *_asked: Any, **_more: Any) -> None:
        """Follow nothing."""


_opener = urllib.request.build_opener(_NoRedirect)


@dataclass(frozen=True, slots=True)
class Registry:
    """The registry at `url`; `api_key` makes the answers those of a professional.

    With a `memory` each answer must show that the registry's ledger extends what it showed before.
    """

    url: str
    api_key: str | None = field(default=None, repr=False)
    memory: LogMemory | None = None

    def __post_init__(self) -> None:
        if not _is_address(self.url):
            raise ConnectionFailed("The registry's address must be http(s)://host[:port].")
        if self.api_key is not None and not (self.api_key.isascii() and self.api_key.isprintable()):
            raise ConnectionFailed("The API key holds characters that no API key has.")

    def verify(self, codes: Sequence[str]) -> Iterator[Item]:
        """Verify codes; yields one item a code, in order: ``{"verdict": {...}}`` or ``{"error": {...}}``.

        With an API key in batches; without one code by code, as the public may ask. Raises ConnectionFailed, and with
        a memory MemoryRefusal or Contradiction before the first item of an answer that is not to be believed.
        """
        if codes:
            self._meet()
        if self.api_key is None:
            yield from (self._verify_one(code) for code in codes)
            return
        for start in range(0, len(codes), BATCH):
            asked = list(codes[start : start + BATCH])
            items = self._remembering("/v1/verify/batch", {"codes": asked}).get("items")
            if not isinstance(items, list) or len(items) != len(asked):
                raise self._not_a_registry()
            yield from (self._item(item) for item in items)

    def trust_list(self) -> bytes:
        """The trust list as the registry serves it."""
        return json.dumps(self._call("/v1/trust"), indent=1).encode()

    def proof(self, path: str) -> Item:
        """The proof bundle at a verdict's `proof_url`, a path of this server."""
        if not path.startswith("/"):
            raise ConnectionFailed("The address of the proof is not a path of the registry.")
        return self._call(path)

    def _verify_one(self, code: str) -> Item:
        try:
            return self._item({"verdict": self._remembering("/v1/verify", {"code": code})})
        except _Refusal as refusal:
            if refusal.status == MALFORMED:
                return {"error": {"code": refusal.code, "message": refusal.message, "fix": refusal.fix}}
            if refusal.status == TOO_MANY:
                raise ConnectionFailed(refusal.message, fix="With an API key there is no such limit.") from refusal
            raise

    def _meet(self) -> None:
        """At the first contact, learn the key of the registry's ledger."""
        if self.memory is not None and self.memory.is_empty:
            keys = self._call("/v1/log").get("keys")
            if not isinstance(keys, list) or not keys or not isinstance(keys[0], str):
                raise self._not_a_registry()
            self.memory.believe(keys[0])

    def _remembering(self, path: str, body: Item) -> Item:
        """Ask, and compare what the answer says of the ledger with what is remembered of it."""
        if self.memory is None:
            return self._call(path, body)
        try:
            answer = self._call(path, body | {"checkpoint": self.memory.note})
        except _Refusal as refusal:
            if refusal.code == NOT_OURS:
                raise MemoryRefusal(
                    f"The registry at {self.url} denies a checkpoint that its ledger's key has signed.",
                    fix=f"Its ledger was replaced by another. Ask the operator; {self.memory.path} holds the old one.",
                ) from refusal
            raise
        self.memory.follow(answer.get("log"), self._successions)
        return answer

    def _successions(self) -> list[object]:
        found = self._call("/v1/log").get("successions")
        return found if isinstance(found, list) else []

    def _item(self, item: Any) -> Item:
        """Give the item when it has the members that are read of it."""
        if isinstance(item, dict):
            verdict, error = item.get("verdict"), item.get("error")
            if isinstance(verdict, dict) and _are_texts(verdict, "summary", "authenticity", "advice"):
                reasons = verdict.get("reasons")
                if isinstance(reasons, list) and all(isinstance(reason, str) for reason in reasons):
                    return item
            if verdict is None and isinstance(error, dict) and _are_texts(error, "code", "message"):
                return item
        raise self._not_a_registry()

    def _call(self, path: str, body: Item | None = None) -> Item:
        headers = {"Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        if self.api_key is not None:
            headers["Authorization"] = f"Bearer {self.api_key}"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url.rstrip("/") + path, data, headers)  # noqa: S310  checked above
        try:
            with _opener.open(request, timeout=TIMEOUT_SECONDS) as answer:
                text = answer.read(MAX_ANSWER + 1)
                if answer.length and len(text) <= MAX_ANSWER:
                    raise http.client.IncompleteRead(text)
        except urllib.error.HTTPError as error:
            with error:
                raise _refusal(error) from error
        except (OSError, http.client.HTTPException) as error:
            raise Unreachable(
                f"The registry at {self.url} cannot be reached: {getattr(error, 'reason', error)}.",
                fix="Check the address.",
            ) from error
        try:
            found = json.loads(text) if len(text) <= MAX_ANSWER else None
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            raise self._not_a_registry()
        return found

    def _not_a_registry(self) -> ConnectionFailed:
        return ConnectionFailed(
            f"What answers at {self.url} is no registry of this kind, or a newer one.", fix="Check the address."
        )


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises ValueError for a port that is none
    except ValueError:
        return False
    plain = url.isascii() and url.isprintable() and " " not in url
    bare = parts.path in ("", "/") and not parts.query and not parts.fragment and parts.username is None
    return plain and bare and parts.scheme in ("http", "https") and bool(parts.hostname)


def _are_texts(members: Item, *names: str) -> bool:
    return all(isinstance(members.get(name), str) for name in names)


def _refusal(error: urllib.error.HTTPError) -> ConnectionFailed:
    if 300 <= error.code < 400:
        return ConnectionFailed(
            "The registry's address leads elsewhere; a redirect is not followed, the API key would go with it.",
            fix="Give the registry's own address.",
        )
    try:
        problem = json.loads(error.read(100_000))
        if _are_texts(problem, "detail", "code"):
            fix = problem.get("fix")
            return _Refusal(
                error.code,
                problem["code"],
                problem["detail"][:MAX_SENTENCE],
                fix=fix[:MAX_SENTENCE] if isinstance(fix, str) else None,
            )
    except (ValueError, AttributeError, RecursionError, OSError, http.client.HTTPException):
        pass  # no problem details: the status is all there is to tell
    return ConnectionFailed(f"The registry answered {error.code}.")
