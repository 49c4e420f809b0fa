"""The registry over HTTP: shapes, statuses, headers, and that one firm never sees another's."""

from __future__ import annotations

import io
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.core.authorisation import Role
from app.core.services import Services
from app.registry.labels.check import verify_pdf
from scanners.images import read_symbols
from tests.app.registry.registry_builders import Firm, make_firm, work
from tests.builders import api_key, bearer, gtin, make_approved_firm, on_sqlite

pytestmark = on_sqlite


class Machine:
    """A firm's program that speaks to the API."""

    def __init__(self, client: FlaskClient, secret: str) -> None:
        self._client = client
        self._headers = bearer(secret)

    def get(self, path: str) -> TestResponse:
        return self._client.get(path, headers=self._headers, buffered=True)

    def post(self, path: str, body: dict[str, Any], **headers: str) -> TestResponse:
        return self._client.post(path, json=body, headers={**self._headers, **headers})

    def upload(self, path: str, data: bytes, **form: str) -> TestResponse:
        answer = self._client.post(
            path,
            data={**form, "file": (io.BytesIO(data), "units.csv")},
            headers=self._headers,
            content_type="multipart/form-data",
        )
        answer.request.input_stream.close()  # the test client spools large bodies to a file
        return answer


@pytest.fixture
def firm(services: Services) -> Firm:
    return make_firm(services)


@pytest.fixture
def machine(client: FlaskClient, services: Services, firm: Firm) -> Machine:
    return Machine(client, api_key(services, Role.OPERATOR, organisation=firm.organisation))


def commission(machine: Machine, services: Services, **more: Any) -> dict[str, Any]:
    accepted = machine.post("/v1/batches", {"product": gtin(), **more})
    assert accepted.status_code == 202, accepted.json
    work(services)
    job = machine.get(accepted.headers["Location"]).json
    assert job is not None
    assert job["state"] == "done", job
    batch: dict[str, Any] = machine.get(f"/v1/batches/{job['result']['batches'][0]['handle']}").json or {}
    return batch


def test_a_product_is_registered_and_found_by_any_length_of_its_gtin(machine: Machine) -> None:
    created = machine.post("/v1/products", {"gtin": gtin(5)[1:], "name": "Mezcal", "sector": "spirits"})
    assert created.status_code == 201
    assert created.json is not None
    assert created.json["reference"] == gtin(5)
    assert machine.get(f"/v1/products/{gtin(5)[1:]}").json == created.json
    again = machine.post("/v1/products", {"gtin": gtin(5), "name": "Mezcal"})
    assert (again.status_code, (again.json or {})["code"]) == (409, "product_exists")
    listed = machine.get("/v1/products?q=mez").json or {}
    assert [product["reference"] for product in listed["items"]] == [gtin(5)]
    first = machine.get("/v1/products?limit=1").json or {}
    second = machine.get(f"/v1/products?limit=1&cursor={first['next_cursor']}").json or {}
    assert [first["items"][0]["reference"], second["items"][0]["reference"]] == [gtin(1), gtin(5)]
    assert second["next_cursor"] is None


def test_a_wrong_check_digit_is_answered_with_the_right_one(machine: Machine) -> None:
    right = gtin(6)
    wrong = right[:-1] + str((int(right[-1]) + 3) % 10)
    answer = machine.post("/v1/products", {"gtin": wrong, "name": "x"})
    assert answer.status_code == 422
    assert answer.json is not None
    assert answer.json["code"] == "check_digit"
    assert f"to be {right[-1]}" in answer.json["detail"] or f"should be {right[-1]}" in answer.json["detail"]


def test_a_batch_is_commissioned_and_its_units_paged(machine: Machine, services: Services) -> None:
    batch = commission(machine, services, quantity=7, lot="L1", expiry="271231", note="first")
    assert (batch["quantity"], batch["lot"], batch["product"], batch["note"]) == (7, "L1", gtin(), "first")
    first = machine.get(f"/v1/batches/{batch['handle']}/units?limit=5").json or {}
    assert first["next_start"] == 5
    second = machine.get(f"/v1/batches/{batch['handle']}/units?limit=5&start=5").json or {}
    assert second["next_start"] is None
    assert [unit["position"] for unit in (*first["items"], *second["items"])] == list(range(7))
    listed = machine.get(f"/v1/batches?product={gtin()[1:]}").json or {}
    assert [item["handle"] for item in listed["items"]] == [batch["handle"]]


def test_the_idempotency_key_header_makes_a_retry_harmless(machine: Machine, services: Services) -> None:
    body = {"product": gtin(), "quantity": 2}
    first, again = (machine.post("/v1/batches", body, **{"Idempotency-Key": "k1"}) for _ in range(2))
    assert (first.json or {})["id"] == (again.json or {})["id"]
    other = machine.post("/v1/batches", {**body, "quantity": 3}, **{"Idempotency-Key": "k1"})
    assert other.status_code == 409
    assert machine.post("/v1/batches", body, **{"Idempotency-Key": "ñ"}).status_code == 422


def test_labels_are_drawn_checked_and_downloaded(machine: Machine, services: Services) -> None:
    batch = commission(machine, services, quantity=33, lot="L1")
    accepted = machine.post(f"/v1/batches/{batch['handle']}/labels", {"layout": "letter-3x10"})
    assert accepted.status_code == 202
    address = accepted.headers["Location"]
    assert machine.get(f"{address}/file").status_code == 404
    work(services)
    job = machine.get(address).json or {}
    assert job["state"] == "done", job
    assert (job["result"]["labels"], job["result"]["checked"], job["result"]["pages"]) == (33, 33, 2)
    file = machine.get(f"{address}/file")
    assert file.mimetype == "application/pdf"
    assert "attachment" in file.headers["Content-Disposition"]
    listed = machine.get(f"/v1/batches/{batch['handle']}/units").json or {}
    texts = [unit["code"] for unit in listed["items"]]
    assert verify_pdf(file.data, texts).released
    picture = machine.get(f"/v1/batches/{batch['handle']}/labels/3?format=png&dpi=300")
    assert [symbol.text for symbol in read_symbols(picture.data)] == [texts[3]]
    assert machine.get(f"/v1/batches/{batch['handle']}/labels/3").data.startswith(b"<svg")
    assert b"^XA" in machine.get(f"/v1/batches/{batch['handle']}/labels/3?format=zpl").data
    assert machine.get(f"/v1/batches/{batch['handle']}/labels/33").status_code == 404


@pytest.mark.parametrize("form", ["svg", "png", "zpl"])
def test_one_label_that_does_not_hold_its_code_is_refused_with_the_reason(
    machine: Machine, services: Services, form: str
) -> None:
    handle = commission(machine, services, quantity=1)["handle"]
    answer = machine.get(f"/v1/batches/{handle}/labels/0?layout=letter-3x10&error_correction=H&format={form}")
    assert answer.status_code == 422
    assert (answer.json or {})["code"] == "symbol_too_large"


def test_zpl_labels_are_read_back_dot_for_dot(machine: Machine, services: Services) -> None:
    batch = commission(machine, services, quantity=5)
    body = {"layout": "roll-50x25", "format": "zpl", "start": 1, "count": 3}
    accepted = machine.post(f"/v1/batches/{batch['handle']}/labels", body)
    work(services)
    job = machine.get(accepted.headers["Location"]).json or {}
    assert job["state"] == "done", job
    assert job["result"]["checked"] == 3
    assert machine.get(f"{accepted.headers['Location']}/file").text.count("^XZ") == 3


def test_a_file_is_previewed_then_commissioned_once(machine: Machine, services: Services) -> None:
    data = f"gtin;lot;expiry;quantity\n{gtin()};A;2027-06-30;5\n{gtin()};B;;6\n".encode("utf-8-sig")
    preview = machine.upload("/v1/imports?dry_run=true", data)
    assert preview.status_code == 200
    assert preview.json is not None
    assert (preview.json["units"], preview.json["rows"], preview.json["fault_count"]) == (11, 2, 0)
    assert [batch["expiry"] for batch in preview.json["batches"]] == ["270630", None]
    first, again = (machine.upload("/v1/imports", data) for _ in range(2))
    assert first.status_code == 202
    assert (first.json or {})["id"] == (again.json or {})["id"]
    work(services)
    listed = machine.get("/v1/batches").json or {}
    assert [(batch["lot"], batch["quantity"]) for batch in listed["items"]] == [("B", 6), ("A", 5)]


def test_faults_of_a_file_are_named_by_row_and_column(machine: Machine) -> None:
    answer = machine.upload("/v1/imports", b"serial\nA\n\nA\n\xc3\xb1\n", product=gtin())
    assert answer.status_code == 422
    assert answer.json is not None
    assert [error["where"] for error in answer.json["errors"]] == ["row 4, column serial", "row 5, column serial"]


def test_a_file_of_more_than_ten_megabytes_is_refused_unread(machine: Machine) -> None:
    assert machine.upload("/v1/imports", b"serial\n" + b"A" * (11 * 1024 * 1024)).status_code == 413


def test_one_firm_never_sees_what_is_anothers(machine: Machine, services: Services, client: FlaskClient) -> None:
    batch = commission(machine, services, quantity=1)
    job = (machine.get("/v1/jobs").json or {})["items"][0]
    other_firm = make_approved_firm(services, prefix="9529999")
    other = Machine(client, api_key(services, Role.OWNER, organisation=other_firm))
    handle = batch["handle"]
    for path in (
        f"/v1/batches/{handle}",
        f"/v1/batches/{handle}/units",
        f"/v1/batches/{handle}/labels/0",
        f"/v1/products/{gtin()}",
        f"/v1/jobs/{job['id']}",
        f"/v1/jobs/{job['id']}/file",
    ):
        assert other.get(path).status_code == 404, path
    assert other.post(f"/v1/batches/{handle}/labels", {}).status_code == 404
    assert (other.get("/v1/batches").json or {})["items"] == []
    assert other.post("/v1/batches", {"product": gtin(), "quantity": 1}).status_code == 403


@pytest.mark.parametrize(
    "body",
    [
        {"product": gtin(), "quantity": "5"},
        {"product": gtin(), "quantity": 5.5},
        {"product": gtin(), "quantity": 1, "surprise": 1},
        {"product": gtin(), "serials": ["A", 1]},
        {"product": "9521234000013/..", "quantity": 1},
        {"product": gtin(), "case_prefix": "9521234", "quantity": 1},
        {},
    ],
)
def test_what_is_misshapen_is_refused_with_a_problem(machine: Machine, body: dict[str, Any]) -> None:
    answer = machine.post("/v1/batches", body)
    assert answer.status_code == 422
    assert answer.mimetype == "application/problem+json"
