"""A server with a demo firm and a batch of so many units, ready to be measured."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

import orjson

from loadtests.client import Client
from loadtests.servers import Server

SETTINGS: Final = {
    # Neither codes nor ledger may depend on the port, which changes when the server is started again.
    "code_url": "https://id.marchamo.org",
    "log_origin": "bench.marchamo.org/log",
}


@dataclass(frozen=True, slots=True)
class Firm:
    """API keys by role, the product, the measured batch and codes from all over it."""

    api_keys: dict[str, str]
    product: str
    batch: str
    codes: list[str]

    def headers(self, role: str) -> dict[str, str]:
        """What a request of a role carries: owner, retailer, inspector or customs_client."""
        return {"Authorization": f"Bearer {self.api_keys[role]}"}

    def client(self, server: Server, role: str) -> Client:
        """A client of the server with the key of a role."""
        return Client(server.url, self.headers(role))

    def verify_bodies(self) -> list[bytes]:
        """Bodies of POST /v1/verify, one a code."""
        return [orjson.dumps({"code": code}) for code in self.codes]


def prepare(server: Server, *, units: int, codes: int, progress: Callable[[int, int], None] | None = None) -> Firm:
    """Make the demo firm, commission `units` through the API and fetch `codes` of their codes."""
    parties: dict[str, Any] = server.command("demo-firm")
    empty = Firm(parties["api_keys"], parties["product"], "", [])
    with empty.client(server, "owner") as owner:
        handle = owner.commission(empty.product, units, lot="BENCH-1", progress=progress)
        return replace(empty, batch=handle, codes=owner.sample_codes(handle, min(codes, units)))
