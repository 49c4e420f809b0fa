"""The documented API: OpenAPI 3.1 from the marshmallow schemas, browsable at /v1/docs."""

from flask import Flask
from marshmallow import RAISE, Schema

from app.core.http import ProblemApi

BEARER = "apiKey"


class StrictSchema(Schema):
    """Base of every schema: an unknown member is an error, never ignored."""

    class Meta:
        """Schema options."""

        unknown = RAISE


def make_api(app: Flask) -> ProblemApi:
    """The Api object on which features register their blueprints."""
    app.config.update(
        API_TITLE="Marchamo",
        API_VERSION="v1",
        OPENAPI_VERSION="3.1.0",
        OPENAPI_URL_PREFIX="/v1",
        OPENAPI_JSON_PATH="openapi.json",
    )
    api = ProblemApi(
        app,
        spec_kwargs={
            "info": {
                "description": "Registry of signed codes: register, commission, verify, prove.",
                "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            },
            "security": [{BEARER: []}, {}],
        },
    )
    api.spec.components.security_scheme(BEARER, {"type": "http", "scheme": "bearer"})
    return api
