"""Access: how people and machines show who they are, and what a caller may do because of it."""

from flask import Flask

from app.access.identity import identify, remembered_principal
from app.core.http import ProblemApi

__all__ = ["identify", "install", "remembered_principal"]


def install(app: Flask, api: ProblemApi) -> None:
    """Register routes and pages."""
    from app.access import api as routes  # noqa: PLC0415  routes need the application's packages loaded
    from app.access import joining_pages, machine_pages, pages  # noqa: PLC0415

    api.register_blueprint(routes.blueprint)
    app.register_blueprint(joining_pages.blueprint)
    app.register_blueprint(pages.blueprint)
    app.register_blueprint(machine_pages.blueprint)
