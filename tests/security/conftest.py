"""The application as the tests of its features have it."""

from tests.app.conftest import app, cheap_passwords, client, limited_app, services, settings

__all__ = ["app", "cheap_passwords", "client", "limited_app", "services", "settings"]
