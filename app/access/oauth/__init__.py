"""OAuth 2.0 for machines: client credentials (RFC 6749 section 4.4) for short-lived access tokens."""

from app.access.oauth.clients import OAuthClient, register_client_source

__all__ = ["OAuthClient", "register_client_source"]
