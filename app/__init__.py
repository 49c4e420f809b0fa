"""Marchamo's service. `create_app` reads like a table of contents; what each line does is in the named module.

Importing this package imports nothing else: every command passes through here, and `marchamo scan` must start at once.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flask import Flask

    from app.core.config import Settings


def create_app(settings: "Settings | None" = None) -> "Flask":
    """The WSGI application on a database that `marchamo migrate` has prepared.

    Raises SettingsError for unusable settings and SchemaOutdated for a database of another version.
    """
    from app import access, accounts, devices, facts, portal, privacy, registry, transparency, verification, webhooks  # noqa: PLC0415
    from app.core import authorisation, csrf, database, health, http, i18n, logging  # noqa: PLC0415
    from app.core.api import make_api  # noqa: PLC0415
    from app.core.application import Application  # noqa: PLC0415
    from app.core.bootstrap import open_services  # noqa: PLC0415
    from app.core.config import Settings  # noqa: PLC0415

    settings = settings or Settings.from_environment()
    logging.configure()
    app = Application(__name__, template_folder="portal/templates", static_folder="portal/static")
    app.extensions["marchamo"] = services = open_services(settings)
    app.secret_key = services.sealer.derive("flask session")

    http.install(app, settings)
    i18n.install(app)
    app.before_request(access.identify)
    app.before_request(authorisation.enforce)
    csrf.install(app)
    app.teardown_appcontext(database.close_request_session)

    app.register_blueprint(health.blueprint)
    api = make_api(app)
    for feature in (accounts, access, webhooks, devices, facts, registry, transparency, verification, privacy, portal):
        feature.install(app, api)
    http.wrap(app, settings)
    return app
