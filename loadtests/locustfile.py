"""What people do with the service at the same time, for locust. `loadtests.load` starts it; see there.

The file named by LOAD_PLAN holds the keys, the product, the batch and codes of it (`loadtests.firm.Firm` as JSON).
"""

import json
import os
import random
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from locust import FastHttpUser, between, events, task
from locust.env import Environment

from loadtests.names import (
    BATCH_VERIFY,
    COMMISSION,
    COMMISSION_DONE,
    ERROR_MARK,
    JOB,
    LABEL,
    LIST_PRODUCTS,
    PLAN,
    PROOF,
    VERIFY,
)

_plan: dict[str, Any] = json.loads(Path(os.environ[PLAN]).read_text())
CODES: list[str] = _plan["codes"]
BATCH_SIZE = min(1_000, len(CODES))
JOB_SECONDS = 30.0
POLL_SECONDS = 0.3


def _say_what_failed(environment: Environment, **_more: object) -> None:
    for error in environment.stats.errors.values():
        print(f"{ERROR_MARK}{error.occurrences} x {error.name}: {error.error}", file=sys.stderr)


events.quitting.add_listener(_say_what_failed)  # type: ignore[no-untyped-call]  # locust's hooks have no types


class _Member(FastHttpUser):
    """Somebody with an API key of a role."""

    abstract = True
    role: str

    def on_start(self) -> None:
        self.headers = {"Authorization": f"Bearer {_plan['api_keys'][self.role]}"}

    def fetch(self, path: str, name: str) -> Any:
        """GET JSON; None when that failed."""
        with self.client.get(path, name=name, headers=self.headers, catch_response=True) as answer:
            if answer.status_code != 200:
                answer.failure(f"status {answer.status_code}")
                return None
            return answer.json()

    def send(self, path: str, name: str, body: dict[str, Any], status: int = 200) -> Any:
        """POST JSON; None when that failed."""
        with self.client.post(path, name=name, headers=self.headers, json=body, catch_response=True) as answer:
            if answer.status_code != status:
                answer.failure(f"status {answer.status_code}")
                return None
            return answer.json()


class Sme(_Member):
    """A small firm: looks at its products, commissions twenty units, waits for them and draws a label."""

    weight = 5
    role = "owner"
    wait_time = between(2, 6)

    @task(3)
    def list_products(self) -> None:
        """Look at the products."""
        self.fetch("/v1/products", LIST_PRODUCTS)

    @task
    def commission(self) -> None:
        """Commission, watch the job, fetch the first label."""
        began = time.perf_counter()
        entry = {"product": _plan["product"], "quantity": 20, "lot": f"L{random.randrange(10**6)}"}
        job = self.send("/v1/batches", COMMISSION, entry, 202)
        while job is not None and job["state"] not in ("done", "failed"):
            if time.perf_counter() - began > JOB_SECONDS:
                break
            time.sleep(POLL_SECONDS)  # locust's loop is patched by gevent: other users go on
            job = self.fetch(f"/v1/jobs/{job['id']}", JOB)
        done = job is not None and job["state"] == "done"
        self.environment.events.request.fire(
            request_type="job",
            name=COMMISSION_DONE,
            response_time=(time.perf_counter() - began) * 1000,
            response_length=0,
            exception=None if done else RuntimeError("the job did not get done"),
            context={},
        )
        if job is not None and done:
            handle = job["result"]["batches"][0]["handle"]
            self.client.get(f"/v1/batches/{handle}/labels/0", name=LABEL, headers=self.headers)


class Inspector(_Member):
    """Checks units one by one; some are copied badly, some never existed."""

    weight = 14
    role = "inspector"
    wait_time = between(0.5, 2)

    @task(14)
    def genuine(self) -> None:
        """Scan a registered unit."""
        self._verify({"code": random.choice(CODES)}, registered=True)

    @task(3)
    def inspect(self) -> None:
        """Inspect a registered unit, with the place."""
        place = {"latitude": 31.33, "longitude": -110.94, "accuracy": 20}
        self._verify({"code": random.choice(CODES), "action": "inspect", "place": place}, registered=True)

    @task(2)
    def forged(self) -> None:
        """Scan a code whose signature was made up."""
        code = random.choice(CODES)
        self._verify({"code": code[:-1] + str((int(code[-1]) + 1) % 10)}, registered=False)

    @task
    def unknown(self) -> None:
        """Scan a unit that was never issued."""
        code = random.choice(CODES)
        serial = code.split("/21/")[1].split("?")[0]
        self._verify({"code": code.replace(serial, serial[:-4] + "ZZZZ")}, registered=False)

    def _verify(self, body: dict[str, Any], *, registered: bool) -> None:
        with self.client.post(
            "/v1/verify", name=VERIFY, headers=self.headers, json=body, catch_response=True
        ) as answer:
            if answer.status_code != 200:
                answer.failure(f"status {answer.status_code}")
            elif answer.json()["data"]["verified"] is not registered:
                answer.failure(f"verified is not {registered}")


class Customs(_Member):
    """A customs office's system: whole consignments, and proofs for the file."""

    weight = 1
    role = "customs_client"
    wait_time = between(5, 15)

    def on_start(self) -> None:
        """Begin somewhere in the codes."""
        super().on_start()
        self._consignments = _consignments()

    @task
    def consignment(self) -> None:
        """Verify a thousand codes at once."""
        answer = self.send("/v1/verify/batch", BATCH_VERIFY, {"codes": next(self._consignments)})
        if answer is not None and any(item["error"] is not None for item in answer["items"]):
            raise RuntimeError("a registered code of a consignment was not read")

    @task(2)
    def proof(self) -> None:
        """Fetch the proof bundle of a unit."""
        serial = random.choice(CODES).split("/21/")[1].split("?")[0]
        self.fetch(f"/v1/proofs/{_plan['batch']}/{serial}", PROOF)


def _consignments() -> Iterator[list[str]]:
    while True:
        start = random.randrange(len(CODES) - BATCH_SIZE + 1)
        yield CODES[start : start + BATCH_SIZE]
