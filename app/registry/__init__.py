"""Products, batches, units and their codes: what a firm registers, commissions and prints."""

from flask import Flask

from app.core.http import ProblemApi


def install(app: Flask, api: ProblemApi) -> None:  # noqa: ARG001  every feature is installed alike
    """Register the routes."""
    from app.registry import api as routes  # noqa: PLC0415  routes need the application's packages loaded
    from app.registry import signing_api  # noqa: PLC0415

    api.register_blueprint(routes.blueprint)
    api.register_blueprint(signing_api.blueprint)
