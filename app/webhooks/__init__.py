"""Webhooks: an organisation's own systems are told what happened, signed, until they have taken it."""

from flask import Flask

from app.core.http import ProblemApi


def install(app: Flask, api: ProblemApi) -> None:
    """Register routes and pages."""
    from app.webhooks import api as routes  # noqa: PLC0415  routes need the application's packages loaded
    from app.webhooks import pages  # noqa: PLC0415

    api.register_blueprint(routes.blueprint)
    app.register_blueprint(pages.blueprint)
