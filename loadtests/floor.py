"""The floor of `verify`: the least that any online check of a signed code has to do, on the same server and stack.

POST, JSON in, a connection that stays open, one indexed look-up, one Ed25519 verification with a key that is parsed
already, JSON out. No parsing of the code, no state, no recording, no receipt. What our own verify costs beyond this
is the price of its answer.

Run by `loadtests.verify_bench`: ``granian --interface wsgi --factory loadtests.floor:create_app`` with FLOOR_DATABASE
set to ``sqlite:///path`` or ``postgresql://...``.
"""

import os
import random
import sqlite3
from typing import Any

import orjson
import psycopg
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from flask import Flask, Response, request

SEED = bytes(range(32))
MESSAGE = b"marchamo floor: a message as long as the signed bytes of a usual code" + bytes(16)
DATABASE = "FLOOR_DATABASE"


def create_app() -> Flask:
    """The floor as a WSGI application."""
    app = Flask("floor")
    public_key: Ed25519PublicKey = Ed25519PrivateKey.from_private_bytes(SEED).public_key()
    look_up = _sqlite_look_up if os.environ[DATABASE].startswith("sqlite") else _postgresql_look_up
    held = look_up(os.environ[DATABASE])

    @app.post("/verify")
    def verify() -> Response:
        body = orjson.loads(request.get_data())
        row = held(body["product"], body["serial"])
        try:
            public_key.verify(bytes.fromhex(body["signature"]), MESSAGE)
        except InvalidSignature:
            return Response(b'{"verified":false}', mimetype="application/json")
        return Response(orjson.dumps({"verified": True, "unit": row}), mimetype="application/json")

    return app


def _sqlite_look_up(url: str) -> Any:
    connection = sqlite3.connect(url.removeprefix("sqlite:///"), check_same_thread=False, isolation_level=None)

    def look_up(product: int, serial: str) -> int | None:
        query = "SELECT unit_id FROM units WHERE product_id = ? AND serial = ?"
        row = connection.execute(query, (product, serial)).fetchone()
        return row[0] if row else None

    return look_up


def _postgresql_look_up(url: str) -> Any:
    connection = psycopg.connect(url, autocommit=True)

    def look_up(product: int, serial: str) -> int | None:
        query = "SELECT unit_id FROM units WHERE product_id = %s AND serial = %s"
        row = connection.execute(query, (product, serial), prepare=True).fetchone()
        return row[0] if row else None

    return look_up


def prepare(url: str, units: int) -> None:
    """Make the floor's own table with `units` rows."""
    generator = random.Random(7)
    rows = [(1, f"{generator.getrandbits(60):017d}"[:17], number) for number in range(units)]
    if url.startswith("sqlite"):
        connection = sqlite3.connect(url.removeprefix("sqlite:///"))
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(
            "CREATE TABLE units (product_id, serial, unit_id, PRIMARY KEY (product_id, serial)) WITHOUT ROWID"
        )
        connection.executemany("INSERT INTO units VALUES (?, ?, ?)", sorted(rows))
        connection.commit()
        connection.close()
        return
    with psycopg.connect(url) as database:
        database.execute(
            "CREATE TABLE units (product_id bigint, serial text, unit_id bigint, PRIMARY KEY (product_id, serial))"
        )
        with database.cursor().copy("COPY units FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)


def requests(units: int, count: int) -> list[bytes]:
    """`count` request bodies that hit random rows of a table made by `prepare(url, units)`."""
    generator = random.Random(7)
    serials = [f"{generator.getrandbits(60):017d}"[:17] for _ in range(units)]
    signature = Ed25519PrivateKey.from_private_bytes(SEED).sign(MESSAGE).hex()
    chosen = random.Random(8).choices(serials, k=count)
    return [orjson.dumps({"product": 1, "serial": serial, "signature": signature}) for serial in chosen]
