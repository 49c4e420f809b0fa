"""A small client of the registry's API: what a scanner asks when it has a connection.

The answer of a server is outside input: bounded, strictly read, and never followed to another address, because the API
key would go with the request.
"""

import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

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

    def verify_signed(self, codes: Sequence[str], statements: Sequence[str]) -> list[Item]:
        """Hand in at most `BATCH` scans that this device signed; gives one item a scan, in order, as `verify` does."""
        if codes:
            self._meet()
        body = {"codes": list(codes), "device_statements": list(statements)}
        items = self._remembering("/v1/verify/batch", body).get("items")
        if not isinstance(items, list) or len(items) != len(codes):
            raise self._not_a_registry()
        return [self._item(item) for item in items]

    def enrol_device(self, members: Item) -> Item:
        """Show a code and a key, and learn which device this is."""
        return self._call("/v1/devices/enrolments", members)

    def renew_device(self, device_id: str, statement: str) -> Item:
        """Ask for a device's lease to go on."""
        return self._call(f"/v1/devices/{quote(device_id, safe='')}/lease", {"statement": statement})

    def access_token(self, assertion: str) -> str:
        """Get an access token for the client that signed the assertion (RFC 7523 section 2.2)."""
        form = {
            "grant_type": "client_credentials",
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_assertion": assertion,
        }
        try:
            token = self._call("/oauth/token", form=form).get("access_token")
        except Unreachable:
            raise
        except ConnectionFailed as refusal:
            raise ConnectionFailed(
                f"The registry at {self.url} does not accept this device.",
                fix="Its lease may have ended, or it was revoked: marchamo device renew tells. Check its clock too.",
            ) from refusal
        if not isinstance(token, str) or not token:
            raise self._not_a_registry()
        return token

    def trust_list(self) -> bytes:
        """The trust list as the registry serves it."""
        return json.dumps(self._call("/v1/trust"), indent=1).encode()

    def proof(self, path: str) -> Item:
        """The proof bundle at a verdict's `proof_url`, a path of this server."""
        if not path.startswith("/"):
            raise ConnectionFailed("The address of the proof is not a path of the registry.")
        return self._call(path)

    def signing_page(self, handle: str, start: int, after: str | None = None) -> Item:
        """What is to be signed of a batch, from a position on; after: the serial before, where it is known."""
        return self._call(f"/v1/batches/{quote(handle, safe='')}/signing?{_place(start, after)}")

    def put_signatures(self, handle: str, start: int, signatures: bytes, after: str | None = None) -> Item:
        """Hand in signatures of the units from a position on; tells how far the batch is signed."""
        path = f"/v1/batches/{quote(handle, safe='')}/signatures?{_place(start, after)}"
        return self._call(path, octets=signatures)

    def close_signing(self, handle: str, seal: str) -> Item:
        """Close a batch with the firm's seal (base64); tells the ledger position of the entry."""
        return self._call(f"/v1/batches/{quote(handle, safe='')}/seal", {"seal": seal})

    def begin_key_registration(self, public_key: str) -> Item:
        """Have a number set aside for a code key (base64), and learn what it has to sign."""
        return self._call("/v1/keys/registrations", {"purpose": "code", "public_key": public_key})

    def register_key(self, members: Item) -> Item:
        """Register a code key that the firm holds."""
        return self._call("/v1/keys", members)

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

    def _call(
        self,
        path: str,
        body: Item | None = None,
        *,
        octets: bytes | None = None,
        form: Mapping[str, str] | None = None,
    ) -> Item:
        """GET; POST with a `body` or a `form`; PUT with `octets`."""
        method, data, kind = "GET", octets, "application/octet-stream"
        if body is not None:
            method, data, kind = "POST", json.dumps(body).encode(), "application/json"
        elif form is not None:
            method, data, kind = "POST", urlencode(form).encode(), "application/x-www-form-urlencoded"
        elif octets is not None:
            method = "PUT"
        headers = {"Accept": "application/json"}
        if data is not None:
            headers["Content-Type"] = kind
        if self.api_key is not None:
            headers["Authorization"] = f"Bearer {self.api_key}"
        address = self.url.rstrip("/") + path
        request = urllib.request.Request(address, data, headers, method=method)  # noqa: S310  checked above
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


def _place(start: int, after: str | None) -> str:
    return urlencode({"from": start} if after is None else {"from": start, "after": after})


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
