"""The ledger before everybody's eyes: its files, its health, alarms, and what devices say they saw of it before."""

from flask import Flask

from app.core.http import ProblemApi


def install(app: Flask, api: ProblemApi) -> None:
    """Register routes and pages."""
    from app.transparency import api as routes  # noqa: PLC0415  routes need the application's packages loaded
    from app.transparency import file_pages, health_pages, map_pages  # noqa: PLC0415

    api.register_blueprint(routes.blueprint)
    app.register_blueprint(file_pages.blueprint)
    app.register_blueprint(map_pages.blueprint)
    app.register_blueprint(health_pages.blueprint)
