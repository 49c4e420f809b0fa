"""Access: how people and machines show who they are, and what a caller may do because of it."""

from flask import Flask

from app.access.identity import identify, remembered_principal
from app.access.remembered import forget_machine
from app.core.authorisation import ConfirmationNeeded, SecondFactorOwed
from app.core.http import ProblemApi
from app.core.services import Services

__all__ = ["forget_machine", "identify", "install", "remembered_principal"]


def install(app: Flask, api: ProblemApi) -> None:
    """Register routes and pages."""
    from app.access import (  # noqa: PLC0415
        account_pages,
        confirming,
        factor_pages,
        joining_pages,
        machine_pages,
        pages,
        recovery_pages,
    )
    from app.access import api as routes  # noqa: PLC0415  routes need the application's packages loaded
    from app.access.oauth import register_client_source  # noqa: PLC0415
    from app.access.oauth import routes as oauth_routes  # noqa: PLC0415
    from app.access.oauth.server import MachineServer  # noqa: PLC0415
    from app.access.service import registered_client  # noqa: PLC0415

    api.register_blueprint(routes.blueprint)
    app.register_blueprint(joining_pages.blueprint)
    app.register_blueprint(pages.blueprint)
    app.register_blueprint(account_pages.blueprint)
    app.register_blueprint(factor_pages.blueprint)
    app.register_blueprint(recovery_pages.blueprint)
    app.register_error_handler(ConfirmationNeeded, confirming.ask_for_confirmation)
    app.register_error_handler(SecondFactorOwed, confirming.ask_for_second_factor)
    app.register_blueprint(machine_pages.blueprint)
    app.register_blueprint(oauth_routes.blueprint)
    register_client_source(registered_client)
    services: Services = app.extensions["marchamo"]
    services.features[MachineServer] = MachineServer(app, services)
