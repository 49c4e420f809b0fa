"""The verdict that joins registry, facts and risk; an act on goods writes one scan and one event; signed receipts."""

from flask import Flask

from app.core.http import ProblemApi


def install(app: Flask, api: ProblemApi) -> None:
    """Register routes, pages and commands."""
    from app.verification import api as routes  # noqa: PLC0415  routes need the application's packages loaded
    from app.verification import pages, state_api  # noqa: PLC0415
    from app.verification.door import VerifyDoor  # noqa: PLC0415

    api.register_blueprint(routes.blueprint)
    api.register_blueprint(state_api.blueprint)
    pages.install(app)
    app.wsgi_app = VerifyDoor(app.wsgi_app, app.extensions["marchamo"])  # type: ignore[method-assign]
