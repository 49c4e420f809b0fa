"""The public API as a firm's own program would use it: a held connection, a key, JSON."""

import http.client
import random
import time
from collections.abc import Callable
from typing import Any, Self
from urllib.parse import urlencode, urlsplit

import orjson

POLL_SECONDS = 0.25
PAGE = 1_000
"""Most units that the API gives at once."""
PAGES_OF_SAMPLE = 200


class RefusedError(RuntimeError):
    """The service answered with a problem; the message repeats it."""


class Client:
    """Speaks to one service with one API key; not to be shared by threads. Closed by ``with``."""

    def __init__(self, url: str, headers: dict[str, str]) -> None:
        self._headers = headers
        self._connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self._connection.close()

    def get(self, path: str, **query: Any) -> Any:
        """GET a JSON resource; raises RefusedError."""
        return orjson.loads(self.send("GET", f"{path}?{urlencode(query)}" if query else path))

    def post(self, path: str, body: Any) -> Any:
        """POST JSON and parse the answer; raises RefusedError."""
        return orjson.loads(self.send("POST", path, orjson.dumps(body)))

    def send(self, method: str, path: str, body: bytes | None = None) -> bytes:
        """Send one request and read the whole answer; raises RefusedError."""
        headers = dict(self._headers)
        if body is not None:
            headers["Content-Type"] = "application/json"
        self._connection.request(method, path, body, headers)
        answer = self._connection.getresponse()
        data = answer.read()
        if not 200 <= answer.status < 300:
            raise RefusedError(f"{method} {path}: {answer.status} {data[:500].decode(errors='replace')}")
        return data

    def wait_for_job(
        self, job: dict[str, Any], *, seconds: float, progress: Callable[[int, int], None] | None = None
    ) -> dict[str, Any]:
        """Poll a job until it is done and give its last state; raises RefusedError when it failed or took too long."""
        deadline = time.monotonic() + seconds
        while job["state"] not in ("done", "failed"):
            if time.monotonic() > deadline:
                raise RefusedError(f"job {job['id']} was not done in {seconds:.0f} s")
            time.sleep(POLL_SECONDS)
            job = self.get(f"/v1/jobs/{job['id']}")
            if progress is not None:
                progress(job["done"], job["total"])
        if job["state"] == "failed":
            raise RefusedError(f"job {job['id']} failed: {job['problem']}")
        return job

    def commission(
        self,
        product: str,
        quantity: int,
        *,
        lot: str,
        seconds: float = 600,
        progress: Callable[[int, int], None] | None = None,
    ) -> str:
        """Commission a signed batch, wait for it and give its handle; raises RefusedError."""
        entry = {"product": product, "quantity": quantity, "lot": lot, "expiry": "271231"}
        job = self.wait_for_job(self.post("/v1/batches", entry), seconds=seconds, progress=progress)
        handle: str = job["result"]["batches"][0]["handle"]
        return handle

    def sample_codes(self, handle: str, count: int) -> list[str]:
        """Give `count` codes from all over a batch, shuffled, so that look-ups find no neighbours in a cache.

        They are drawn from pages that lie evenly over the batch; raises RefusedError.
        """
        quantity = self.get(f"/v1/batches/{handle}")["quantity"]
        generator = random.Random(11)
        pages = max(1, min(PAGES_OF_SAMPLE, quantity // PAGE))
        each = -(-count // pages)
        codes: list[str] = []
        for number in range(pages):
            start = number * (quantity // pages)
            units = self.get(f"/v1/batches/{handle}/units", start=start, limit=PAGE)["items"]
            codes += [unit["code"] for unit in generator.sample(units, min(each, len(units)))]
        generator.shuffle(codes)
        return codes[:count]
