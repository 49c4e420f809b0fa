"""The Flask application class: Flask, less the work that nothing here needs on each request (measured, ADR 0005)."""

from collections.abc import Callable, Iterable
from typing import Any

import orjson
from flask import Flask, Request, Response
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface, SessionMixin

from app.core.config import is_loopback

StartResponse = Callable[..., Any]
WSGIApplication = Callable[[dict[str, Any], StartResponse], Iterable[bytes]]


class _CookieSessions(SecureCookieSessionInterface):
    """Signed cookie sessions; a request without the cookie gets an empty session at no cost.

    Flask builds a signer for every request before it looks whether there is anything to verify.
    """

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        """Open the session of a request."""
        if "HTTP_COOKIE" not in request.environ:
            return SecureCookieSession()
        return super().open_session(app, request)

    def save_session(self, app: Flask, session: SessionMixin, response: Response) -> None:
        """Save the session, but not with an answer that everybody may keep: it depends on nobody's cookie.

        Saving would say so in a Vary header, and shared caches would keep it once for each visitor.
        """
        if "public" not in response.headers.get("Cache-Control", ""):
            super().save_session(app, session, response)


class Application(Flask):
    """Flask with cheap sessions and no asynchronous views."""

    session_interface = _CookieSessions()

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Give the function itself: there are no coroutine views or hooks, so none has to be looked for."""
        return func


class SecurityHeaders:
    """WSGI middleware that puts the same headers on every answer, also on those that never reached a view."""

    def __init__(self, app: WSGIApplication, headers: Iterable[tuple[str, str]]) -> None:
        self._app = app
        self._headers = list(headers)

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Run the application with a start_response that adds the headers."""

        def start(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            return start_response(status, headers + self._headers, *rest)

        return self._app(environ, start)


class KnownHosts:
    """WSGI middleware that answers only requests for hosts that are ours (RFC 9110, 7.2), and /health for any.

    A page elsewhere can give this service a name of its own (DNS rebinding) and then reads its answers as its own;
    and whatever is made of the Host header would lead where a stranger wants.
    """

    def __init__(self, app: WSGIApplication, hosts: frozenset[str], *, loopback: bool) -> None:
        self._app = app
        self._hosts = hosts
        self._loopback = loopback

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Run the application, or refuse."""
        host: str = environ.get("HTTP_HOST", "")
        if host in self._hosts or self._knows(host) or environ.get("PATH_INFO") == "/health":
            return self._app(environ, start_response)
        headers = [("Content-Type", "application/problem+json"), ("Content-Length", str(len(_UNKNOWN_HOST)))]
        start_response("400 Bad Request", headers)
        return [_UNKNOWN_HOST]

    def _knows(self, host: str) -> bool:
        host = host.lower()
        name, colon, port = host.rpartition(":")
        if not colon or "]" in port:
            name, port = host, ""
        if self._loopback and is_loopback(name) and (not port or port.isdecimal()):
            return True
        return (name if port in ("80", "443") else host) in self._hosts


_UNKNOWN_HOST = orjson.dumps(
    {
        "type": "urn:marchamo:problem:unknown_host",
        "title": "Bad Request",
        "status": 400,
        "code": "unknown_host",
        "detail": "This registry does not have the name under which it was asked.",
    }
)
