"""Organisations, their people, rights and keys: who may speak for whom."""

from flask import Flask

from app.core.errors import NotSignedIn
from app.core.http import ProblemApi


def install(app: Flask, api: ProblemApi) -> None:
    """Register routes, pages and commands."""
    from app.accounts import api as routes  # noqa: PLC0415  routes need the application's packages loaded
    from app.accounts import (  # noqa: PLC0415
        desk_pages,
        forms,
        key_pages,
        limits_pages,
        pages,
        people_api,
        people_pages,
        showing,
    )

    api.register_blueprint(routes.blueprint)
    api.register_blueprint(people_api.blueprint)
    app.register_blueprint(pages.blueprint)
    app.register_blueprint(key_pages.blueprint)
    app.register_blueprint(people_pages.blueprint)
    app.register_blueprint(desk_pages.blueprint)
    app.register_blueprint(limits_pages.blueprint)
    app.register_error_handler(NotSignedIn, showing.ask_to_sign_in)
    app.jinja_env.globals["sign_in_address"] = forms.sign_in_address
