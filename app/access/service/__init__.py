"""Use cases of access: what other features, routes, pages and commands call."""

from app.access.service.api_keys import create_api_key, list_api_keys, revoke_api_key
from app.access.service.signing_in import change_password, sign_in, sign_out, switch_organisation
from app.access.values import ApiKey

__all__ = [
    "ApiKey",
    "change_password",
    "create_api_key",
    "list_api_keys",
    "revoke_api_key",
    "sign_in",
    "sign_out",
    "switch_organisation",
]
