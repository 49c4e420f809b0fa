"""Devices: what inspectors and shops scan with, each with a key of its own that signs every scan."""

from flask import Flask

from app.core.http import ProblemApi


def install(app: Flask, api: ProblemApi) -> None:
    """Register routes and pages, and devices as clients that may ask for access tokens."""
    from app.access.oauth import register_client_source  # noqa: PLC0415  routes need the application's packages loaded
    from app.devices import api as routes  # noqa: PLC0415
    from app.devices import pages, service  # noqa: PLC0415

    register_client_source(service.client_of_device)
    api.register_blueprint(routes.blueprint)
    app.register_blueprint(pages.blueprint)
