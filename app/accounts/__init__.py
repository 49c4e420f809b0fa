"""Organisations, their people, rights, keys and machines: who may speak for whom."""

from flask import Flask

from app.accounts.identity import identify
from app.core.errors import NotSignedIn
from app.core.http import ProblemApi

__all__ = ["identify", "install"]


def install(app: Flask, api: ProblemApi) -> None:
    """Register routes, pages and commands."""
    from app.accounts import api as routes  # noqa: PLC0415  routes need the application's packages loaded
    from app.accounts import pages  # noqa: PLC0415

    api.register_blueprint(routes.blueprint)
    app.register_blueprint(pages.blueprint)
    app.register_error_handler(NotSignedIn, pages.ask_to_sign_in)
