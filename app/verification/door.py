"""The fast door of `POST /v1/verify`: the commonest request of machines, answered before the web framework starts.

Flask costs as much as the signature check (measured: docs/decisions/0005-a-fast-door-for-verify.md). This middleware
takes exactly one shape of request: a caller whose API key is known already, a small JSON body of plain members, no
header that would change the answer. Everything else, and everything that is refused, goes on to the route in `api`,
which says the same: both call one use case, and a test compares their answers.
"""

import io
import secrets
from collections.abc import Iterable
from typing import Any, Final

import orjson

from app.access import remembered_principal
from app.core.application import StartResponse, WSGIApplication
from app.core.errors import AppError
from app.core.services import Services
from app.transparency import service as transparency
from app.verification import service
from app.verification.http import decode
from app.verification.request import ScanRequest
from app.verification.schemas import simple_verify
from ledger.errors import FormatError

PATH: Final = "/v1/verify"
MAX_BODY: Final = 8_192
"""Largest body taken here; a code has at most 2,048 characters."""
_CHANGES_THE_ANSWER: Final = (
    "HTTP_ACCEPT_LANGUAGE",  # the language of the advice
    "HTTP_COOKIE",
    "HTTP_IDEMPOTENCY_KEY",
    "HTTP_X_REQUEST_ID",
    "HTTP_TRANSFER_ENCODING",
    "HTTP_CONTENT_ENCODING",
)


class VerifyDoor:
    """WSGI middleware around the application."""

    def __init__(self, app: WSGIApplication, services: Services) -> None:
        self._app = app
        self._services = services
        certificate = services.settings.client_certificate_header
        further = (f"HTTP_{certificate.upper().replace('-', '_')}",) if certificate else ()
        self._passes_on = (*_CHANGES_THE_ANSWER, *further)

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Answer here what belongs here, else let the application answer."""
        if environ["PATH_INFO"] != PATH or not _is_plain(environ, self._passes_on):
            return self._app(environ, start_response)
        body: bytes = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
        answer = self._answer(environ, body)
        if answer is None:
            environ["wsgi.input"] = io.BytesIO(body)
            return self._app(environ, start_response)
        headers = [
            ("Content-Type", "application/json"),
            ("Content-Length", str(len(answer))),
            ("Cache-Control", "no-store"),
            ("X-Request-Id", secrets.token_hex(8)),
        ]
        start_response("200 OK", headers)
        return [answer]

    def _answer(self, environ: dict[str, Any], body: bytes) -> bytes | None:
        principal = remembered_principal(environ["HTTP_AUTHORIZATION"])
        if principal is None:
            return None
        try:
            members = simple_verify(decode(body))
            if members is None:
                return None
            text, note = members.pop("code"), members.pop("checkpoint", None)
            memory = None if note is None else transparency.take_memory(self._services, note)
            request = ScanRequest(remote_address=environ.get("REMOTE_ADDR", ""), **members)
            wire = service.verify(self._services, text=text, principal=principal, request=request).to_wire()
            if memory is not None:
                wire["log"] = transparency.continuation(self._services, memory)
        except (orjson.JSONDecodeError, FormatError, AppError):
            # Raised before anything was recorded, or for a scan key that comes again: the route finds the same and
            # says it in the shape of all refusals.
            return None
        return orjson.dumps(wire)


def _is_plain(environ: dict[str, Any], passes_on: tuple[str, ...]) -> bool:
    length: str = environ.get("CONTENT_LENGTH", "")
    return (
        environ["REQUEST_METHOD"] == "POST"
        and environ.get("CONTENT_TYPE") == "application/json"
        and "HTTP_AUTHORIZATION" in environ
        and not environ.get("QUERY_STRING")
        and length.isdecimal()
        and len(length) <= 4
        and int(length) <= MAX_BODY
        and not any(name in environ for name in passes_on)
    )
