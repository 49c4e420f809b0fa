"""Webhooks: what happened reaches a real receiver, signed, once it can take it, and nobody else."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from app.accounts import service as accounts
from app.core.authorisation import Role
from app.core.clock import now_ms
from app.core.database import write_session
from app.core.errors import Conflict, Invalid, NotFound, TooMany
from app.core.mail import OutgoingMailRow
from app.core.notices import NoticeKind, NoticeRow, notify
from app.core.services import Services
from app.transparency.service.product import product_checks
from app.webhooks import service
from app.webhooks.models import DeliveryRow, WebhookRow
from app.webhooks.service import delivering, messages, subscribing
from app.webhooks.values import DeliveryState, WebhookState
from ledger.audit import audit
from tests.builders import api_key, bearer, make_approved_firm, on_sqlite, owner_email, principal, signed_in


@dataclass
class Receiver:
    """A server on loopback that takes messages, or answers as it is told."""

    url: str = ""
    status: int = 204
    headers: dict[str, str] = field(default_factory=dict)
    received: list[tuple[dict[str, str], bytes]] = field(default_factory=list)

    def types(self) -> list[str]:
        return [json.loads(body)["type"] for _, body in self.received]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    told = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            told.received.append(({name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(told.status)
            for name, value in told.headers.items():
                self.send_header(name, value)
            self.end_headers()

        def log_message(self, *_arguments: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    told.url = f"http://127.0.0.1:{server.server_address[1]}/in?from=marchamo"
    yield told
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def reaching(services: Services) -> Services:
    """The services of one whose own network is loopback."""
    return replace(services, settings=replace(services.settings, webhook_private=True))


@pytest.fixture
def firm(services: Services) -> accounts.Organisation:
    made = make_approved_firm(services)
    with write_session(services.engine) as session:
        session.execute(delete(NoticeRow))  # what it was told while it was made
    return made


def tell(services: Services, organisation: accounts.Organisation, kind: NoticeKind = NoticeKind.KEY_REVOKED) -> None:
    with write_session(services.engine) as session:
        notify(session, organisation_id=organisation.id, kind=kind, data={"key_id": 7})


def make_due(services: Services) -> None:
    """Let the pauses pass."""
    with write_session(services.engine) as session:
        session.execute(update(DeliveryRow).values(next_attempt_at=0))


def deliveries(services: Services, webhook: service.Webhook) -> list[service.Delivery]:
    with Session(services.engine) as session:
        organisation_id = session.scalars(
            select(WebhookRow.organisation_id).where(WebhookRow.reference == webhook.reference)
        ).one()
        return service.list_deliveries(session, organisation_id=organisation_id, reference=webhook.reference)


def state_of(services: Services, firm: accounts.Organisation, webhook: service.Webhook) -> WebhookState:
    with Session(services.engine) as session:
        return service.find_webhook(session, organisation_id=firm.id, reference=webhook.reference).state


def signature(secret: str, headers: dict[str, str], body: bytes) -> str:
    """As a receiver computes it, from the text of Standard Webhooks and not from our code."""
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    key = base64.b64decode(secret.removeprefix("whsec_"))
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


def test_a_notice_reaches_its_receiver_signed(
    reaching: Services, firm: accounts.Organisation, receiver: Receiver
) -> None:
    webhook, secret = service.create_webhook(reaching, principal=principal(firm), url=receiver.url)
    tell(reaching, firm)
    assert service.deliver_due(reaching) == 1
    ((headers, body),) = receiver.received
    message = json.loads(body)
    assert (message["type"], message["data"]) == ("key.revoked", {"key_id": 7})
    assert headers["webhook-signature"] == signature(secret, headers, body)
    assert abs(int(headers["webhook-timestamp"]) - now_ms() / 1000) < 60
    (delivery,) = deliveries(reaching, webhook)
    assert (delivery.message_id, delivery.state) == (headers["webhook-id"], DeliveryState.DELIVERED)
    assert service.deliver_due(reaching) == 0, "a message that was taken is not sent again"


@on_sqlite
def test_a_webhook_is_told_only_what_it_asked_for_and_only_of_its_own_organisation(
    reaching: Services, firm: accounts.Organisation, receiver: Receiver
) -> None:
    kinds = [NoticeKind.MEMBER_JOINED]
    service.create_webhook(reaching, principal=principal(firm), url=receiver.url, kinds=kinds)
    tell(reaching, firm, NoticeKind.KEY_REVOKED)
    tell(reaching, make_approved_firm(reaching, prefix=None), NoticeKind.MEMBER_JOINED)
    service.deliver_due(reaching)
    assert receiver.received == []
    tell(reaching, firm, NoticeKind.MEMBER_JOINED)
    service.deliver_due(reaching)
    assert receiver.types() == ["member.joined"]


@on_sqlite
def test_a_message_that_is_not_taken_comes_again_under_the_same_number(
    reaching: Services, firm: accounts.Organisation, receiver: Receiver
) -> None:
    webhook, _ = service.create_webhook(reaching, principal=principal(firm), url=receiver.url)
    receiver.status = 500
    tell(reaching, firm)
    assert service.deliver_due(reaching) == 0
    assert service.deliver_due(reaching) == 0
    assert len(receiver.received) == 1, "it waits before it tries again"
    assert state_of(reaching, firm, webhook) is WebhookState.FAILING
    receiver.status = 200
    make_due(reaching)
    assert service.deliver_due(reaching) == 1
    first, second = (headers["webhook-id"] for headers, _ in receiver.received)
    assert first == second
    assert state_of(reaching, firm, webhook) is WebhookState.WORKING


@on_sqlite
def test_a_receiver_may_ask_for_more_time(reaching: Services, firm: accounts.Organisation, receiver: Receiver) -> None:
    webhook, _ = service.create_webhook(reaching, principal=principal(firm), url=receiver.url)
    receiver.status, receiver.headers = 503, {"Retry-After": "900"}
    tell(reaching, firm)
    service.deliver_due(reaching)
    (delivery,) = deliveries(reaching, webhook)
    assert delivery.next_attempt_at > now_ms() + 800_000


@on_sqlite
def test_a_message_is_given_up_after_three_days_and_can_be_sent_again_by_hand(
    reaching: Services, firm: accounts.Organisation, receiver: Receiver
) -> None:
    assert 2.9 < sum(delivering.PAUSES_S) / 86_400 < 3.3
    webhook, _ = service.create_webhook(reaching, principal=principal(firm), url=receiver.url)
    receiver.status = 500
    tell(reaching, firm)
    for _ in range(len(delivering.PAUSES_S) + 1):
        service.deliver_due(reaching)
        make_due(reaching)
    (delivery,) = deliveries(reaching, webhook)
    assert delivery.state is DeliveryState.GIVEN_UP
    attempts = len(receiver.received)
    service.deliver_due(reaching)
    assert len(receiver.received) == attempts == len(delivering.PAUSES_S) + 1
    receiver.status = 200
    service.send_again(reaching, organisation_id=firm.id, reference=webhook.reference, message_id=delivery.message_id)
    assert service.deliver_due(reaching) == 1


@on_sqlite
def test_a_webhook_that_only_fails_is_paused_with_a_mail_to_its_owners_and_can_be_resumed(
    reaching: Services, firm: accounts.Organisation, receiver: Receiver
) -> None:
    webhook, _ = service.create_webhook(reaching, principal=principal(firm), url=receiver.url)
    receiver.status = 500
    tell(reaching, firm)
    service.deliver_due(reaching)
    with write_session(reaching.engine) as session:
        session.execute(update(WebhookRow).values(failing_since=now_ms() - delivering.PAUSED_AFTER_MS))
        session.execute(delete(OutgoingMailRow))
    make_due(reaching)
    service.deliver_due(reaching)
    assert state_of(reaching, firm, webhook) is WebhookState.PAUSED
    with Session(reaching.engine) as session:
        (mail,) = session.scalars(select(OutgoingMailRow)).all()
        text = reaching.sealer.open(mail.sealed, "outgoing mail").decode()
    assert f"/organisation/webhooks/{webhook.reference}" in text
    assert receiver.url not in text
    sent = len(receiver.received)
    tell(reaching, firm)
    make_due(reaching)
    service.deliver_due(reaching)
    assert len(receiver.received) == sent, "a paused webhook gets nothing"
    receiver.status = 200
    service.resume(reaching, organisation_id=firm.id, reference=webhook.reference)
    assert service.deliver_due(reaching) == 2, "what came in the meantime was kept"


@on_sqlite
def test_a_receiver_that_says_it_is_gone_is_paused_at_once(
    reaching: Services, firm: accounts.Organisation, receiver: Receiver
) -> None:
    webhook, _ = service.create_webhook(reaching, principal=principal(firm), url=receiver.url)
    receiver.status = 410
    tell(reaching, firm)
    service.deliver_due(reaching)
    assert state_of(reaching, firm, webhook) is WebhookState.PAUSED


@on_sqlite
def test_one_receiver_that_fails_does_not_hold_up_another(
    reaching: Services, firm: accounts.Organisation, receiver: Receiver
) -> None:
    nobody = "http://127.0.0.1:1/"
    service.create_webhook(reaching, principal=principal(firm), url=nobody)
    service.create_webhook(reaching, principal=principal(firm), url=receiver.url)
    for _ in range(3):
        tell(reaching, firm)
    assert service.deliver_due(reaching) == 3


@on_sqlite
def test_after_a_new_secret_both_sign_for_a_day(
    reaching: Services, firm: accounts.Organisation, receiver: Receiver
) -> None:
    webhook, former = service.create_webhook(reaching, principal=principal(firm), url=receiver.url)
    latter = service.replace_secret(reaching, organisation_id=firm.id, reference=webhook.reference)
    tell(reaching, firm)
    service.deliver_due(reaching)
    headers, body = receiver.received[-1]
    both = {signature(latter, headers, body), signature(former, headers, body)}
    assert set(headers["webhook-signature"].split(" ")) == both
    with write_session(reaching.engine) as session:
        session.execute(update(WebhookRow).values(old_secret_until=now_ms() - 1))
    tell(reaching, firm)
    service.deliver_due(reaching)
    headers, body = receiver.received[-1]
    assert headers["webhook-signature"] == signature(latter, headers, body)


@on_sqlite
def test_a_removed_webhook_gets_nothing_more(
    reaching: Services, firm: accounts.Organisation, receiver: Receiver
) -> None:
    webhook, _ = service.create_webhook(reaching, principal=principal(firm), url=receiver.url)
    service.send_test(reaching, organisation_id=firm.id, reference=webhook.reference)
    service.remove_webhook(reaching, principal=principal(firm), reference=webhook.reference)
    tell(reaching, firm)
    assert service.deliver_due(reaching) == 0
    assert receiver.received == []
    with pytest.raises(NotFound):
        service.send_test(reaching, organisation_id=firm.id, reference=webhook.reference)


@on_sqlite
def test_without_the_setting_no_inner_address_is_written_to(
    services: Services, reaching: Services, firm: accounts.Organisation, receiver: Receiver
) -> None:
    with pytest.raises(Invalid):
        service.create_webhook(services, principal=principal(firm), url=receiver.url)
    webhook, _ = service.create_webhook(reaching, principal=principal(firm), url=receiver.url)
    tell(services, firm)
    assert service.deliver_due(services) == 0
    (delivery,) = deliveries(services, webhook)
    assert delivery.problem == "address_refused"
    assert receiver.received == []


@on_sqlite
def test_test_messages_do_not_pile_up(reaching: Services, firm: accounts.Organisation) -> None:
    webhook, _ = service.create_webhook(reaching, principal=principal(firm), url="http://127.0.0.1:1/")
    for _ in range(messages.TESTS_WAITING):
        service.send_test(reaching, organisation_id=firm.id, reference=webhook.reference)
    with pytest.raises(TooMany):
        service.send_test(reaching, organisation_id=firm.id, reference=webhook.reference)


@on_sqlite
def test_an_organisation_has_ten_webhooks_at_most(reaching: Services, firm: accounts.Organisation) -> None:
    for number in range(subscribing.MAX_WEBHOOKS):
        service.create_webhook(reaching, principal=principal(firm), url=f"https://example.org/{number}")
    with pytest.raises(Conflict):
        service.create_webhook(reaching, principal=principal(firm), url="https://example.org/one-more")


def test_the_audit_names_a_webhook_that_was_led_elsewhere(services: Services, firm: accounts.Organisation) -> None:
    webhook, _ = service.create_webhook(services, principal=principal(firm), url="https://example.org/in")
    assert faults(services) == []
    with write_session(services.engine) as session:
        session.execute(update(WebhookRow).values(url="https://thief.example.net/in"))
    assert faults(services) == [f"webhook.entry webhooks {webhook.reference}"]
    with write_session(services.engine) as session:
        session.execute(delete(WebhookRow))
    assert faults(services) == [f"webhook.missing webhooks {webhook.reference}"]


def faults(services: Services) -> list[str]:
    report = audit(
        services.engine,
        services.log.verifier,
        extra_checks=(service.webhook_check,),
    )
    return [f"{fault.code} {fault.where}" for fault in report.faults]


# ---------------------------------------------------------------- pages and API


@on_sqlite
def test_the_api_makes_tries_lists_and_ends_a_webhook(
    services: Services, client: FlaskClient, firm: accounts.Organisation
) -> None:
    headers = bearer(api_key(services, Role.OWNER, organisation=firm))
    made = client.post(
        "/v1/webhooks", json={"url": "https://example.org/in", "kinds": ["key.revoked"]}, headers=headers
    )
    assert made.status_code == 201, made.text
    reference, secret = made.json["reference"], made.json["secret"]  # type: ignore[index]
    assert secret.startswith("whsec_")
    listed = client.get("/v1/webhooks", headers=headers)
    assert [one["reference"] for one in listed.json["items"]] == [reference]  # type: ignore[index]
    assert secret not in listed.text
    address = f"/v1/webhooks/{reference}"
    assert client.post(f"{address}/tests", headers=headers).status_code == 202
    (delivery,) = client.get(f"{address}/deliveries", headers=headers).json["items"]  # type: ignore[index]
    assert client.post(f"{address}/deliveries/{delivery['message_id']}", headers=headers).status_code == 202
    assert client.post(f"{address}/resumption", headers=headers).json["state"] == "working"  # type: ignore[index]
    assert client.post(f"{address}/secret", headers=headers).json["secret"] != secret  # type: ignore[index]
    assert client.delete(address, headers=headers).status_code == 204
    assert client.get(address, headers=headers).status_code == 404


@on_sqlite
def test_the_pages_make_a_webhook_and_show_its_secret_once(
    app: Flask, services: Services, client: FlaskClient, firm: accounts.Organisation
) -> None:
    app.config["WTF_CSRF_METHODS"] = []
    signed_in(client, services, owner_email(services, firm))
    assert client.get("/organisation/webhooks").status_code == 200
    refused = client.post("/organisation/webhooks", data={"url": "https://10.0.0.1/in"})
    assert refused.status_code == 422
    made = client.post("/organisation/webhooks", data={"url": "https://example.org/in", "kinds": ["key.revoked"]})
    assert "whsec_" in made.text
    assert made.headers["Cache-Control"] == "no-store"
    with Session(services.engine) as session:
        (webhook,) = service.list_webhooks(session, organisation_id=firm.id)
    address = f"/organisation/webhooks/{webhook.reference}"
    assert client.post(f"{address}/tests").status_code == 303
    shown = client.get(address)
    assert "Test message" in shown.text
    assert "whsec_" not in shown.text
    assert "whsec_" in client.post(f"{address}/secret").text
    assert client.post(f"{address}/removal").status_code == 303
    assert client.get(address).status_code == 404


@on_sqlite
def test_the_secret_is_in_no_row_as_it_is(services: Services, firm: accounts.Organisation) -> None:
    _, secret = service.create_webhook(services, principal=principal(firm), url="https://example.org/in")
    with Session(services.engine) as session:
        row = session.scalars(select(WebhookRow)).one()
        held = [str(getattr(row, column.key)) for column in WebhookRow.__table__.columns]
    assert not any(secret.removeprefix("whsec_")[:20] in text for text in held)


def test_the_product_audit_holds_the_check_of_webhooks(services: Services) -> None:
    assert service.webhook_check in product_checks(services.settings, services.engine, services.sealer)


def test_two_workers_at_once_tell_of_a_notice_once(
    reaching: Services, firm: accounts.Organisation, receiver: Receiver
) -> None:
    """During a change of version there are two."""
    service.create_webhook(reaching, principal=principal(firm), url=receiver.url)
    for _ in range(20):
        tell(reaching, firm)
    start = threading.Barrier(4)

    def lay_out() -> None:
        start.wait()
        messages.lay_out(reaching)

    workers = [threading.Thread(target=lay_out) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    with Session(reaching.engine) as session:
        assert len(session.scalars(select(DeliveryRow)).all()) == 20


@on_sqlite
def test_a_slow_receiver_gives_way_after_a_while(
    reaching: Services, firm: accounts.Organisation, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.create_webhook(reaching, principal=principal(firm), url=receiver.url)
    for _ in range(3):
        tell(reaching, firm)
    monkeypatch.setattr(delivering, "IN_A_ROW_SECONDS", 0.0)
    assert [service.deliver_due(reaching) for _ in range(4)] == [1, 1, 1, 0]
