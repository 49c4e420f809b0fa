"""What a role may do depends on the kind of organisation: only firms have goods of their own."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient

from app.accounts.vocabulary import ROLES_OF_KIND, OrganisationKind, permissions_in
from app.core.authorisation import ROLE_PERMISSIONS, Permission, Role
from app.core.services import Services
from tests.builders import api_key, bearer, make_approved, on_sqlite

MAKING = {Permission.PRODUCT_READ, Permission.BATCH_READ, Permission.BATCH_COMMISSION, Permission.LABEL_PRINT}


def test_a_firm_leaves_its_roles_all_they_may_do() -> None:
    for role in Role:
        assert permissions_in(OrganisationKind.FIRM, role) == ROLE_PERMISSIONS[role]


@pytest.mark.parametrize("kind", [kind for kind in OrganisationKind if kind is not OrganisationKind.FIRM])
def test_nobody_else_makes_goods_and_nothing_else_is_lost(kind: OrganisationKind) -> None:
    for role in ROLES_OF_KIND[kind]:
        allowed = permissions_in(kind, role)
        assert not allowed & MAKING
        kept = {Permission.UNIT_SELL, Permission.UNIT_DETAIN, Permission.VERIFY_BATCH, Permission.ORGANISATION_MANAGE}
        assert allowed & kept == ROLE_PERMISSIONS[role] & kept


def test_the_scopes_of_a_key_still_narrow_it() -> None:
    scopes = frozenset({Permission.UNIT_SELL, Permission.PRODUCT_READ})
    assert permissions_in(OrganisationKind.SHOP, Role.OWNER, scopes) == {Permission.UNIT_SELL}


@on_sqlite
def test_a_key_of_a_shop_is_refused_what_shops_do_not_do(client: FlaskClient, services: Services) -> None:
    shop = make_approved(services, kind=OrganisationKind.SHOP)
    key = bearer(api_key(services, Role.OWNER, organisation=shop))
    assert client.get("/v1/organisation", headers=key).status_code == 200
    assert client.get("/v1/products", headers=key).status_code == 403
    assert client.post("/v1/batches", json={}, headers=key).status_code == 403
