"""Everything at once, talkative and failing: what `test_secrets_stay_secret` reads for secrets that slipped out.

A program of its own, because a process sets its logging up once. Every secret that it hands over holds MARK.
"""

from __future__ import annotations

import json
import logging as standard_logging
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import text

from app import create_app
from app.accounts.vocabulary import OrganisationKind
from app.core import logging
from app.core.authorisation import Role
from app.core.bootstrap import migrate, open_services
from app.core.config import Settings
from app.core.database import write_session
from app.core.mail import queue_mail, send_waiting_mail
from app.core.notices import NoticeKind, notify
from app.core.services import Services
from app.transparency.service.product import product_checks
from app.verification.parts import close_parts
from app.webhooks import service as webhooks
from ledger.audit import audit
from tests.builders import api_key, bearer, make_approved, make_approved_firm, owner_email, principal, signed_in

MARK = "kanarie5e7f"
SECRET_FIELDS = (
    *("password", "current", "new", "new_password", "repeat", "code", "token", "otp", "totp", "recovery_code"),
    *("email", "name", "secret", "key", "signature", "credential", "assertion", "passphrase", "url", "reason"),
)


def secret(what: str) -> str:
    return f"{MARK}-{what}-{MARK}"


def bodies(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    """A body for each documented operation that takes one: the mark in everything that is a text."""

    def resolved(schema: dict[str, Any]) -> dict[str, Any]:
        name = schema.get("$ref", "").rpartition("/")[2]
        return document["components"]["schemas"][name] if name else schema

    found = []
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            content = operation.get("requestBody", {}).get("content", {}) if isinstance(operation, dict) else {}
            if "application/json" in content:
                properties = resolved(content["application/json"]["schema"]).get("properties", {})
                found.append((method, path, {name: secret(name) for name in properties}))
    return found


def ask_everything(app: Flask, services: Services, client: FlaskClient, headers: dict[str, str]) -> list[str]:
    """Send the mark to every route; gives the answers of those that refuse."""
    answers = []
    client.set_cookie("session", secret("session"))
    document = client.get("/v1/openapi.json").get_json()
    for method, path, body in bodies(document):
        address = path.replace("{", "").replace("}", "")
        others = [{"Authorization": f"Bearer mch_{secret('key')}"}, {"Authorization": secret("raw")}]
        asked = [client.open(address, method=method.upper(), json=body, headers=sent) for sent in (headers, *others)]
        answers += [answer.text for answer in asked]
    form = {name: secret(name) for name in SECRET_FIELDS}
    for rule in app.url_map.iter_rules():
        if "POST" in (rule.methods or set()) and not rule.rule.startswith("/v1/"):
            address = rule.rule
            for part in rule.rule.split("/"):
                if part.startswith("<"):
                    address = address.replace(part, "1")
            client.post(address, data=form, headers={"Authorization": f"Basic {secret('basic')}"})
    person = signed_in(app.test_client(), services, owner_email(services, make_approved_firm(services, prefix=None)))
    for address in ("/sign-in", "/account/password", "/organisation/people", "/organisation/webhooks"):
        person.post(address, data=form)
    return answers


def fail_everywhere(services: Services, client: FlaskClient, firm_id: int) -> None:
    """No mail server, no receiver, and a database without its tables."""
    failing = replace(
        services,
        settings=replace(
            services.settings, mail_server=f"smtp://user:{secret('mail')}@127.0.0.1:1", webhook_private=True
        ),
    )
    with write_session(services.engine) as session:
        queue_mail(session, services, to=f"{MARK}@example.org", subject=secret("subject"), text=secret("link"))
        notify(session, organisation_id=firm_id, kind=NoticeKind.KEY_REVOKED, data={"key_id": 1})
    send_waiting_mail(failing)
    webhooks.deliver_due(failing)
    with write_session(services.engine) as session:
        for table in ("memberships", "api_keys", "recovery_links", "factor_resets", "applications", "invitations"):
            session.execute(text(f"ALTER TABLE {table} RENAME TO {table}_gone"))
    client.post("/sign-in", data={"email": f"{MARK}@example.org", "password": secret("password")})
    client.post("/sign-up", data={name: secret(name) for name in SECRET_FIELDS})
    client.get("/v1/products", headers=bearer("mch_" + MARK * 3))
    for page in ("/recover", "/account-reset", "/sign-up", "/join"):
        client.get(f"{page}/{secret('link')}")  # the address itself is the secret
    logging_of_a_careless_author()


def logging_of_a_careless_author() -> None:
    """What the last step before an event is written still catches."""
    import structlog

    log = structlog.get_logger("careless")
    log.info("careless", password=secret("a"), nested={"api_key": secret("b"), "list": [{"token": secret("c")}]})
    log.info(f"Authorization: Bearer {secret('d')}", address=f"https://user:{secret('e')}@example.org/")
    log.warning("key mch_" + MARK * 3, pem=f"-----BEGIN PRIVATE KEY-----\n{MARK}\n-----END PRIVATE KEY-----")
    log.error("careless", exc_info=RuntimeError(f"could not use whsec_{MARK}{MARK}"))


def main(folder: Path) -> None:
    logging.configure(standard_logging.DEBUG)
    # Louder than the product ever is: every library says all that it has to say.
    standard_logging.basicConfig(level=standard_logging.DEBUG, stream=sys.stderr, force=True)
    standard_logging.getLogger("sqlalchemy.engine").setLevel(standard_logging.INFO)  # every statement
    settings = Settings(data_dir=folder, public_url="http://localhost", scan_durability="kill", rate_limits=False)
    migrate(settings)
    open_services(settings).engine.dispose()
    app = create_app(settings)
    app.config["WTF_CSRF_METHODS"] = []
    services: Services = app.extensions["marchamo"]
    firm = make_approved_firm(services)
    make_approved(services, kind=OrganisationKind.AUTHORITY)
    reaching = replace(services, settings=replace(settings, webhook_private=True))
    webhooks.create_webhook(reaching, principal=principal(firm), url=f"http://127.0.0.1:1/{secret('path')}")
    client = app.test_client()
    headers = bearer(api_key(services, Role.OWNER, organisation=firm))
    answers = ask_everything(app, services, client, headers)
    report = audit(
        services.engine,
        services.log.verifier,
        extra_checks=product_checks(services.settings, services.engine, services.sealer),
    )
    with services.engine.connect() as connection:
        acts = [row.details for row in connection.execute(text("SELECT details FROM administrative_acts"))]
    fail_everywhere(services, client, firm.id)
    json.dump({"answers": answers, "audit": [str(fault) for fault in report.faults], "acts": acts}, sys.stdout)
    close_parts(services)
    services.engine.dispose()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
