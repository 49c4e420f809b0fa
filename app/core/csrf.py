"""Cross-site request forgery: pages that act for a signed-in person check Flask-WTF's token; the API does not need it.

The API takes no cookies: a request with an Authorization header or without a session cannot be forged by a page.
"""

from collections.abc import Callable
from typing import Any, TypeVar

from flask import Flask, Response, current_app, request
from flask_wtf.csrf import CSRFError, CSRFProtect

from app.core.errors import AppError
from app.core.http import answer_app_error

View = TypeVar("View", bound=Callable[..., Any])


def acts_for_nobody(view: View) -> View:
    """Mark a form's view that acts as the public, whoever is signed in.

    A token needs a cookie, and public pages set none. There is no person in whose name anything could be forged; that
    a page elsewhere makes its visitors send the form is refused by what browsers tell about where it stood.
    """
    view.acts_for_nobody = True  # type: ignore[attr-defined]
    return view


def install(app: Flask) -> None:
    """Check every state-changing request except those of the API."""
    app.config["WTF_CSRF_CHECK_DEFAULT"] = False
    app.config["WTF_CSRF_TIME_LIMIT"] = None
    # Over TLS the library asks for a Referer, which our own Referrer-Policy keeps browsers from sending.
    app.config["WTF_CSRF_SSL_STRICT"] = False
    guard = CSRFProtect(app)

    @app.before_request
    def check() -> None:
        if request.method not in ("POST", "PUT", "PATCH", "DELETE") or request.path.startswith("/v1/"):
            return
        # Fetch Metadata (W3C); browsers of before 2023 may not send it.
        if request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
            raise CSRFError("The form stood on a page of another site.")
        if not getattr(current_app.view_functions.get(request.endpoint or ""), "acts_for_nobody", False):
            guard.protect()

    def refuse(_error: CSRFError) -> Response:
        sentence = "This page was open too long or came from elsewhere. Load it again and repeat."
        return answer_app_error(AppError(sentence, code="csrf"))

    app.register_error_handler(CSRFError, refuse)
