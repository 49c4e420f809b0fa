"""Machines with TLS client certificates: only behind a proxy that is set up for it, only those that were registered."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy.orm import Session

from app import create_app
from app.access import service as access
from app.access.certificates import read_header, read_registration
from app.accounts import service as accounts
from app.core.authorisation import Permission, Role
from app.core.config import Settings, SettingsError
from app.core.errors import Conflict, Invalid
from app.core.services import Services
from ledger.errors import FormatError
from tests.app.access.machine_builders import ClientCertificate, certificate
from tests.app.conftest import close
from tests.builders import api_key, bearer, gtin, make_approved_firm, on_sqlite, owner_email, principal, signed_in

HEADER = "Client-Cert"
MACHINE = certificate()


@pytest.fixture
def behind_proxy(settings: Settings) -> Iterator[Flask]:
    application = create_app(replace(settings, trust_proxy=True, client_certificate_header=HEADER))
    application.testing = True
    yield application
    close(application)


@pytest.fixture
def proxied(behind_proxy: Flask) -> FlaskClient:
    return behind_proxy.test_client()


@pytest.fixture
def proxied_services(behind_proxy: Flask) -> Services:
    found: Services = behind_proxy.extensions["marchamo"]
    return found


def register(
    services: Services,
    shown: ClientCertificate | str,
    firm: accounts.Organisation | None = None,
    *,
    scopes: frozenset[Permission] | None = None,
) -> access.CertificateRecord:
    return access.register_certificate(
        services,
        principal=principal(firm or make_approved_firm(services, prefix=None)),
        name="warehouse",
        role=Role.OPERATOR,
        scopes=scopes,
        days=366,
        certificate=shown if isinstance(shown, str) else shown.pem,
    )


def status(client: FlaskClient, header: str, **more: str) -> int:
    return client.get("/v1/organisation", headers={HEADER: header, **more}).status_code


def test_a_registered_certificate_opens_and_ends(proxied: FlaskClient, proxied_services: Services) -> None:
    firm, shown = make_approved_firm(proxied_services, prefix=None), certificate()
    assert status(proxied, shown.header) == 401  # not known yet
    made = register(proxied_services, shown, firm)
    assert made.thumbprint == shown.thumbprint
    assert status(proxied, shown.header) == 200
    access.revoke_certificate(proxied_services, principal=principal(firm), thumbprint=made.thumbprint)
    assert status(proxied, shown.header) == 401
    with pytest.raises(Conflict):  # what was ended never returns
        register(proxied_services, shown, firm)
    with Session(proxied_services.engine) as session:
        acts = [act.act for act in accounts.list_acts(session, organisation_id=firm.id)][:2]
    assert acts == [accounts.Act.CERTIFICATE_REVOKED, accounts.Act.CERTIFICATE_REGISTERED]


@on_sqlite
@pytest.mark.parametrize("spelling", [str, str.upper, lambda text: ":".join(text[i : i + 2] for i in range(0, 64, 2))])
def test_a_thumbprint_alone_can_be_registered(proxied: FlaskClient, proxied_services: Services, spelling: type) -> None:
    shown = certificate()
    register(proxied_services, spelling(shown.thumbprint))
    assert status(proxied, shown.header) == 200


@on_sqlite
def test_a_certificate_out_of_its_dates_opens_nothing(proxied: FlaskClient, proxied_services: Services) -> None:
    over, early = certificate(begins_in_days=-9, ends_in_days=-1), certificate(begins_in_days=1)
    for shown in (over, early):
        register(proxied_services, shown.thumbprint)
        assert status(proxied, shown.header) == 401
    with pytest.raises(Invalid):
        register(proxied_services, certificate(begins_in_days=-9, ends_in_days=-1))
    soon_over = certificate(ends_in_days=3)
    made = register(proxied_services, soon_over)
    assert made.expires_at - made.created_at < 4 * 24 * 3_600_000  # not the 366 days that were asked for


@on_sqlite
def test_the_header_is_ignored_where_the_setting_is_off(client: FlaskClient, services: Services) -> None:
    shown = certificate()
    register(services, shown)
    assert status(client, shown.header) == 401
    secret = api_key(services, Role.OPERATOR)
    assert status(client, ":nonsense:", **bearer(secret)) == 200
    assert client.get("/v1/log", headers={HEADER: ":nonsense:"}).status_code == 200


def test_the_setting_needs_a_proxy_that_is_trusted() -> None:
    with pytest.raises(SettingsError, match="TRUST_PROXY"):
        Settings(client_certificate_header=HEADER)
    with pytest.raises(SettingsError, match="name"):
        Settings(client_certificate_header="Client Cert:", trust_proxy=True)


@on_sqlite
def test_with_a_token_too_both_must_speak_for_one_organisation(
    proxied: FlaskClient, proxied_services: Services
) -> None:
    firm, shown = make_approved_firm(proxied_services, prefix=None), certificate()
    register(proxied_services, shown, firm)
    own = bearer(api_key(proxied_services, Role.AUDITOR, organisation=firm))
    foreign = bearer(api_key(proxied_services, Role.AUDITOR))
    assert status(proxied, shown.header, **own) == 200
    assert status(proxied, shown.header, **foreign) == 401
    assert status(proxied, certificate().header, **own) == 401
    assert status(proxied, shown.header, Authorization="Bearer mch_nonsense") == 401
    assert status(proxied, shown.header, **own) == 200


@on_sqlite
def test_the_fast_door_lets_no_wrong_certificate_through(proxied: FlaskClient, proxied_services: Services) -> None:
    key = bearer(api_key(proxied_services, Role.AUDITOR))
    verify = {"code": f"http://localhost/01/{gtin(1)}/21/ABC123"}
    assert proxied.post("/v1/verify", json=verify, headers=key).status_code == 200  # and now remembered
    headers = {**key, HEADER: certificate().header}
    assert proxied.post("/v1/verify", json=verify, headers=headers).status_code == 401


@on_sqlite
@pytest.mark.parametrize("header", ["", "::"])
def test_a_proxy_may_say_that_there_was_no_certificate(
    proxied: FlaskClient, proxied_services: Services, header: str
) -> None:
    assert status(proxied, header, **bearer(api_key(proxied_services, Role.AUDITOR))) == 200
    assert status(proxied, header) == 401
    assert proxied.get("/v1/log", headers={HEADER: header}).status_code == 200


@on_sqlite
def test_the_scopes_of_a_certificate_bound_it(proxied: FlaskClient, proxied_services: Services) -> None:
    shown = certificate()
    register(proxied_services, shown, scopes=frozenset({Permission.PRODUCT_READ}))
    assert status(proxied, shown.header) == 403
    assert proxied.get("/v1/products", headers={HEADER: shown.header}).status_code == 200


@on_sqlite
def test_certificates_are_managed_over_the_api_and_on_the_page(app: Flask, services: Services) -> None:
    app.config["WTF_CSRF_METHODS"] = []
    firm, client = make_approved_firm(services, prefix=None), app.test_client()
    owner = bearer(api_key(services, Role.OWNER, organisation=firm))
    entry = {"name": "warehouse", "role": "operator", "certificate": certificate().pem}
    made = client.post("/v1/client-certificates", json=entry, headers=owner)
    assert made.status_code == 201, made.text
    thumbprint = made.get_json()["thumbprint"]
    assert client.get("/v1/client-certificates", headers=owner).get_json()["items"][0]["thumbprint"] == thumbprint
    assert client.delete(f"/v1/client-certificates/{thumbprint.upper()}", headers=owner).status_code == 404
    assert client.delete("/v1/client-certificates/xyz", headers=owner).status_code == 404
    assert client.delete(f"/v1/client-certificates/{thumbprint}", headers=owner).status_code == 200
    browser = signed_in(app.test_client(), services, owner_email(services, firm))
    shown = certificate()
    form = {"name": "gate", "role": "operator", "days": "30", "certificate": shown.pem}
    assert browser.post("/organisation/client-certificates", data=form).status_code == 303
    page = browser.get("/organisation/machines").text
    assert shown.thumbprint in page
    assert "does not take certificates" in page
    assert browser.post("/organisation/client-certificates", data=form).status_code == 409
    assert browser.post(f"/organisation/client-certificates/{shown.thumbprint}/revocation").status_code == 303


def test_the_header_is_read_as_the_standard_writes_it() -> None:
    read = read_header(MACHINE.header)
    assert read.thumbprint.hex() == MACHINE.thumbprint
    assert read.not_before < read.not_after


@pytest.mark.parametrize(
    "header",
    [
        "",
        ":",
        "::",
        ":YQ==:",
        MACHINE.header[1:],
        MACHINE.header[:-1],
        MACHINE.header + ", " + MACHINE.header,
        MACHINE.header + ";q=1",
        " " + MACHINE.header,
        MACHINE.header.replace("=", "") if "=" in MACHINE.header else ":" + MACHINE.header[1:-2] + ":",
        MACHINE.pem,
        ":" + "A" * 20_000 + ":",
        ":é:",
    ],
)
def test_another_spelling_of_the_header_is_refused(header: str) -> None:
    with pytest.raises(FormatError):
        read_header(header)


def test_bytes_after_the_certificate_are_refused() -> None:
    import base64

    with pytest.raises(FormatError):
        read_header(f":{base64.b64encode(MACHINE.der + bytes(3)).decode()}:")


NO_CERTIFICATES = [
    *("", "x", "0" * 63, "g" * 64, "x" * 40_000),
    *(MACHINE.pem * 2, MACHINE.pem[:-30], MACHINE.pem.replace("CERTIFICATE", "PRIVATE KEY")),
    "-----BEGIN CERTIFICATE-----\n\n-----END CERTIFICATE-----",
]


@pytest.mark.parametrize("text", NO_CERTIFICATES)
def test_what_is_no_certificate_is_not_registered(text: str) -> None:
    with pytest.raises(Invalid):
        read_registration(text)


@given(text=st.text(max_size=200))
@hypothesis_settings(max_examples=100, deadline=None)
def test_no_text_upsets_the_readers(text: str) -> None:
    for reader in (read_header, read_registration):
        try:
            reader(text)
        except (FormatError, Invalid):
            continue
