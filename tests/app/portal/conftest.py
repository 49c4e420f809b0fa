"""A browser in which the owner of a firm is signed in."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient

from app.core.services import Services
from tests.builders import make_approved_firm, owner_email, signed_in


@pytest.fixture
def firm_client(client: FlaskClient, services: Services) -> FlaskClient:
    firm = make_approved_firm(services, name="Destilería")
    return signed_in(client, services, owner_email(services, firm))
