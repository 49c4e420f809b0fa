"""A stranger can not tell a wrong signature on an issued serial from a serial that was never issued.

Not by status, body, headers or length, on any surface; and not by time. The times are compared as follows: requests of
three kinds are interleaved in random order, 2,000 of each: about an issued serial, about a serial never issued, and
again about serials never issued, as a control. What is compared is the chance that a request of one kind takes longer
than one of the other (the statistic of Mann and Whitney, divided by the number of pairs): 0.5 when they do not differ.
With 2,000 of each its standard error is 0.009, so the bound of 0.05 is more than five of them, and a true value of
0.58 (a shift of about 3 % of the median on a quiet machine) is found with a power of more than 99 %. That it would be
found is tried: an answer that is slower by 10 % has to be noticed. A busy machine disturbs all kinds alike.
"""

from __future__ import annotations

import gc
import random
import re
import secrets
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from scanners.codes.serial import ALPHABET, RANDOM_LENGTH, generate_handle
from tests.app.verification.verdict_builders import World, make_world
from tests.builders import on_sqlite

PAIRS = 2_000
BOUND = 0.05
SLOWER = 1.10

Asking = Callable[[str], TestResponse]


@pytest.fixture
def world(services: Any) -> World:
    return make_world(services, quantity=50)


def forged(text: str) -> str:
    """The code with another signature by the same key: well-formed, and wrong."""
    address, _, signature = text.partition("S=")
    assert len(signature) == 167
    number = int(signature)
    # The last bytes are the signature's; version and key id stay as they are.
    return f"{address}S={number ^ secrets.randbits(200) | 1!s:0>167}"


def never_issued(world: World, *, known_handle: bool = True) -> str:
    """A code of the shape of an issued one, with a serial that nobody made, and with a wrong signature."""
    handle = world.batch.handle if known_handle else generate_handle()
    serial = handle + "".join(secrets.choice(ALPHABET) for _ in range(RANDOM_LENGTH))
    return forged(re.sub(r"(?<=/21/)[^/?]+", serial, random.choice(world.codes)))  # noqa: S311


def issued(world: World) -> str:
    return forged(random.choice(world.codes))  # noqa: S311


def path_of(text: str) -> str:
    return "/" + text.split("://", 1)[1].split("/", 1)[1]


def serial_of(text: str) -> str:
    found = re.search(r"/21/([^/?]+)", text)
    assert found is not None
    return found[1]


def signature_of(text: str) -> str:
    return text.partition("S=")[2]


def surfaces(client: FlaskClient) -> dict[str, Asking]:
    """Every door at which a stranger can show a code."""

    def proofs(text: str) -> TestResponse:
        serial = serial_of(text)
        return client.get(f"/v1/proofs/{serial[:5]}/{serial}?S={signature_of(text)}")

    def page(method: str, **headers: str) -> Asking:
        return lambda text: client.open("/verify" + path_of(text), method=method, headers=headers)

    return {
        "verify": lambda text: client.post("/v1/verify", json={"code": text}),
        "verify with a key": lambda text: client.post("/v1/verify", json={"code": text, "key": "k" * 20}),
        "public scan": lambda text: client.post("/v1/public/scans", json={"code": text}),
        "resolver": lambda text: client.get(path_of(text)),
        "resolver HEAD": lambda text: client.head(path_of(text)),
        "page": page("GET"),
        "page in Spanish": page("GET", **{"Accept-Language": "es"}),
        "page HEAD": page("HEAD"),
        "page as JSON": page("GET", Accept="application/json"),
        "page with conditions": page(
            "GET", **{"If-None-Match": '"x"', "If-Modified-Since": "Tue, 24 Nov 2026 00:00:00 GMT"}
        ),
        "page in parts": page("GET", Range="bytes=0-10"),
        "check": lambda text: client.post("/check", data={"code": text}),
        "seen": lambda text: client.post("/seen", data={"code": text}),
        "proofs": proofs,
        "proofs without signature": lambda text: client.get(f"/v1/proofs/{serial_of(text)[:5]}/{serial_of(text)}"),
        "states": lambda text: client.get(
            f"/v1/states/units/{serial_of(text)[:5]}/{serial_of(text)}?S={signature_of(text)}"
        ),
        "batch": lambda text: client.post("/v1/verify/batch", json={"codes": [text] * 3}),
        "unsigned": lambda text: client.post("/v1/verify", json={"code": text.partition("?")[0]}),
        "unsigned page": lambda text: client.get("/verify" + path_of(text).partition("?")[0]),
        "act": lambda text: client.post("/v1/verify", json={"code": text, "action": "sell"}),
    }


def shown(response: TestResponse, text: str) -> tuple[object, ...]:
    """What a stranger sees, without what is random or is the code that he showed."""
    body = response.text
    for own in (path_of(text), text, serial_of(text), signature_of(text), quote(text, safe="")):
        body = body.replace(own.replace("&", "&amp;"), "*").replace(own, "*")
    body = re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}|[0-9a-f]{16,64}|eyJ[\w.-]+|\d{4}-\d\d-\d\dT[\d:.]+Z", "*", body)
    body = re.sub(r'(name="csrf_token" value=")[^"]+', r"\1*", body)
    headers = sorted(
        (name, value)
        for name, value in response.headers
        if name not in ("X-Request-Id", "Location", "Set-Cookie", "Date")
    )
    cookies = sorted(value.partition("=")[0] for value in response.headers.getlist("Set-Cookie"))
    place = response.headers.get("Location", "").replace(path_of(text), "*")
    return response.status_code, headers, cookies, place, body


@on_sqlite
def test_both_are_answered_alike_at_every_door(client: FlaskClient, world: World) -> None:
    client.application.config["WTF_CSRF_METHODS"] = []
    for surface, ask in surfaces(client).items():
        for known_handle in (True, False, True):
            one, other = issued(world), never_issued(world, known_handle=known_handle)
            first, second = ask(one), ask(other)
            assert shown(first, one) == shown(second, other), surface
            assert first.status_code < 500, surface
            assert "registered with" not in first.text.lower(), surface


@on_sqlite
@pytest.mark.parametrize("surface", ["verify", "page as JSON", "proofs"])
def test_both_take_the_same_time(client: FlaskClient, world: World, surface: str) -> None:
    ask = surfaces(client)[surface]
    # As many serials of each kind: a code that is asked about again finds its own earlier scans.
    others, control = ([never_issued(world) for _ in world.codes] for _ in range(2))
    kinds = {"issued": world.codes, "never issued": others, "control": control}
    times = measure(ask, kinds, PAIRS)
    between_equals = abs(longer(times["control"], times["never issued"]) - 0.5)
    difference = abs(longer(times["issued"], times["never issued"]) - 0.5)
    medians = {kind: round(sorted(found)[len(found) // 2] * 1e6) for kind, found in times.items()}
    told = f"{surface}: {difference:.3f} against {between_equals:.3f} between equals; medians in microseconds {medians}"
    print(told)
    assert difference < BOUND + between_equals, told
    slower = [time * SLOWER for time in times["issued"]]
    assert abs(longer(slower, times["never issued"]) - 0.5) > BOUND, "a difference of a tenth would be noticed"


def measure(ask: Asking, kinds: dict[str, list[str]], count: int) -> dict[str, list[float]]:
    """Seconds of `count` requests of each kind, in random order within each round; of the control every third."""
    times: dict[str, list[float]] = {kind: [] for kind in kinds}
    for _ in range(50):
        for codes in kinds.values():
            ask(forged(random.choice(codes)))  # noqa: S311
    gc.collect()
    gc.disable()
    try:
        for number in range(count):
            order = [kind for kind in kinds if kind != "control" or number % 3 == 0]
            random.shuffle(order)
            texts = {kind: forged(random.choice(kinds[kind])) for kind in order}  # noqa: S311
            for kind in order:
                started = time.perf_counter()
                ask(texts[kind])
                times[kind].append(time.perf_counter() - started)
    finally:
        gc.enable()
    return times


def longer(some: list[float], others: list[float]) -> float:
    """The chance that one of `some` is longer than one of `others`; ties count half (Mann and Whitney)."""
    ranked = sorted([(value, 0) for value in some] + [(value, 1) for value in others])
    below, wins, place = 0, 0.0, 0
    while place < len(ranked):
        end = place
        while end < len(ranked) and ranked[end][0] == ranked[place][0]:
            end += 1
        of_others = sum(kind for _, kind in ranked[place:end])
        wins += (end - place - of_others) * (below + of_others / 2)
        below += of_others
        place = end
    return wins / (len(some) * len(others))


def test_the_statistic_is_that_of_mann_and_whitney() -> None:
    assert longer([2.0, 3.0], [0.0, 1.0]) == 1.0
    assert longer([0.0, 1.0], [2.0, 3.0]) == 0.0
    assert longer([1.0, 1.0], [1.0, 1.0]) == 0.5
    some, others = [random.random() for _ in range(50)], [random.random() for _ in range(40)]  # noqa: S311
    pairs = [(a > b) + (a == b) / 2 for a in some for b in others]
    assert longer(some, others) == pytest.approx(sum(pairs) / len(pairs))
