"""The documented API: OpenAPI 3.1 from the marshmallow schemas, browsable at /v1/docs."""

from typing import Any

import flask_smorest
from flask import Flask, Request
from marshmallow import RAISE, Schema, fields, missing
from webargs.flaskparser import FlaskParser, is_json_request
from werkzeug.datastructures import CombinedMultiDict

from app.core.errors import Malformed
from app.core.http import ProblemApi
from ledger.errors import FormatError
from ledger.strict import decode_json_object

BEARER = "apiKey"


class StrictSchema(Schema):
    """Base of every schema: an unknown member is an error, never ignored."""

    class Meta:
        """Schema options."""

        unknown = RAISE


class TrueOrFalse(fields.Boolean):
    """A boolean of a JSON body: true or false, and none of the numbers and words that others take for these."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> bool:
        if not isinstance(value, bool):
            raise self.make_error("invalid", input=value)
        return super()._deserialize(value, attr, data, **kwargs)


class StrictParser(FlaskParser):
    """Reads bodies strictly: no member twice, no NaN, no nesting without end, nothing that does not say it is JSON.

    The location `upload` is a form with its files: one body, so one schema, and one entry in the OpenAPI document.
    """

    __location_map__ = FlaskParser.__location_map__ | {"upload": "load_upload"}

    def load_upload(self, req: Request, schema: Schema) -> Any:
        """The fields and files of a multipart form."""
        return self._makeproxy(CombinedMultiDict([req.form, req.files]), schema)

    def _raw_load_json(self, req: Request) -> Any:
        body = req.get_data(cache=True)
        if not is_json_request(req):
            if body:
                raise Malformed("Send the body as JSON, with Content-Type: application/json.", code="content_type")
            return missing
        try:
            return decode_json_object(body)
        except FormatError as error:
            raise Malformed("The body cannot be read as JSON: %(reason)s.", code="json", reason=error.message) from None


class Blueprint(flask_smorest.Blueprint):  # type: ignore[misc]  # flask-smorest has no types
    """A group of documented routes; every feature's `api.py` makes one."""

    ARGUMENTS_PARSER = StrictParser()
    DEFAULT_LOCATION_CONTENT_TYPE_MAPPING = flask_smorest.Blueprint.DEFAULT_LOCATION_CONTENT_TYPE_MAPPING | {
        "upload": "multipart/form-data"
    }


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
