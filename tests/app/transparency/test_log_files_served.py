"""The log's files over HTTP: the bytes of an export, with the headers that caches and browsers need."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from app.core.services import Services
from app.transparency.parts import map_files
from ledger.checkpoint import open_checkpoint
from ledger.export import export
from ledger.merkle import leaf_hash
from ledger.proof import parse_proof, verify_leaf_proof
from ledger.tiles import parse_entry_bundle
from tests.builders import on_sqlite
from tests.log_builders import new_entry


def grow(services: Services, start: int, stop: int) -> None:
    services.log.append_many([new_entry(number) for number in range(start, stop)])


@pytest.fixture
def size(services: Services) -> int:
    """A log of 700 entries under a published checkpoint."""
    grow(services, 0, 700 - services.log.head()[0])
    services.log.checkpoint(at_least=700)
    return 700


def test_every_file_of_an_export_is_served_byte_for_byte(
    services: Services, client: FlaskClient, size: int, tmp_path: Path
) -> None:
    export(services.log, tmp_path / "export", cosigned=services.checkpoints, maps=map_files(services))
    files = [path for path in (tmp_path / "export").rglob("*") if path.is_file()]
    assert len(files) >= 8
    for path in files:
        name = path.relative_to(tmp_path / "export").as_posix()
        answer = client.get(f"/log/{name}")
        assert answer.status_code == 200, name
        assert answer.data == path.read_bytes(), name


@on_sqlite
def test_what_is_served_bears_the_types_and_the_caching_of_the_specification(client: FlaskClient, size: int) -> None:
    checkpoint = client.get("/log/checkpoint")
    assert checkpoint.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert checkpoint.headers["Cache-Control"] == "public, no-cache"
    for path in ("/log/tile/0/000", "/log/tile/entries/001"):
        full = client.get(path)
        assert full.headers["Content-Type"] == "application/octet-stream"
        assert full.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    partial = client.get("/log/tile/0/002.p/188")
    assert partial.headers["Cache-Control"] == "public, max-age=86400, immutable"
    for path in ("/log/checkpoint", "/log/tile/0/000", "/log/tile/0/009"):
        assert client.get(path).headers["Access-Control-Allow-Origin"] == "*"


@on_sqlite
def test_shared_caches_need_not_tell_visitors_apart(client: FlaskClient, size: int) -> None:
    client.get("/?lang=es")  # sets a cookie
    for path in (
        "/log/checkpoint",
        "/log/tile/0/000",
        f"/v1/log/consistency?from=1&to={size}",
        "/v1/log/entries/0/proof",
    ):
        answer = client.get(path)
        assert answer.status_code == 200
        assert "Cookie" not in answer.headers.get("Vary", ""), path
        assert "Set-Cookie" not in answer.headers, path


@on_sqlite
@pytest.mark.parametrize("path", ["checkpoint", "tile/0/000", "tile/1/000.p/2", "tile/entries/002.p/188"])
def test_whoever_has_the_bytes_gets_none_and_head_tells_their_length(client: FlaskClient, size: int, path: str) -> None:
    answer = client.get(f"/log/{path}")
    again = client.get(f"/log/{path}", headers={"If-None-Match": answer.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")
    assert again.headers["Cache-Control"] == answer.headers["Cache-Control"]
    other = client.get(f"/log/{path}", headers={"If-None-Match": '"other"'})
    assert other.data == answer.data
    head = client.head(f"/log/{path}")
    assert (head.status_code, head.data) == (200, b"")
    assert head.headers["Content-Length"] == str(len(answer.data))


@on_sqlite
def test_bundles_are_compressed_for_those_who_can_read_it(client: FlaskClient, size: int) -> None:
    plain = client.get("/log/tile/entries/000")
    packed = client.get("/log/tile/entries/000", headers={"Accept-Encoding": "br, gzip"})
    assert packed.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(packed.data) == plain.data
    assert packed.headers["Vary"] == plain.headers["Vary"] == "Accept-Encoding"
    assert packed.headers["ETag"] != plain.headers["ETag"]
    for refusing in ("identity", "gzip;q=0"):
        answer = client.get("/log/tile/entries/000", headers={"Accept-Encoding": refusing})
        assert "Content-Encoding" not in answer.headers
    assert "Content-Encoding" not in client.get("/log/tile/0/000", headers={"Accept-Encoding": "gzip"}).headers


@on_sqlite
@pytest.mark.parametrize(
    "path",
    [
        "tile/0/003", "tile/0/002", "tile/0/002.p/189", "tile/1/000.p/3", "tile/2/000.p/1", "tile/entries/002.p/189",
        "tile/0/0", "tile/0/000.p/0", "tile/0/000.p/256", "tile/00/000", "tile/x/000", "tile/64/000",
        "tile/0/x000/000", "tile/0/" + "x999/" * 300 + "999", "tile/entries", "tile/0/000/", "tile/0/000.p/1/2",
        "tile/0/999999999999999999999999", "tile/63/x999/x999/x999/x999/x999/999",
    ],
)  # fmt: skip
def test_what_is_not_there_is_told_so_and_nobody_may_remember_it(client: FlaskClient, size: int, path: str) -> None:
    answer = client.get(f"/log/{path}")
    assert answer.status_code == 404
    assert answer.headers["Cache-Control"] == "no-store"


@on_sqlite
def test_what_no_checkpoint_covers_yet_is_not_served(services: Services, client: FlaskClient, size: int) -> None:
    client.get("/log/checkpoint")
    grow(services, size, size + 5)
    published = int(client.get("/log/checkpoint").text.splitlines()[1])
    assert published == size
    assert client.get(f"/log/tile/0/002.p/{size + 5 - 512}").status_code == 404
    assert client.get(f"/v1/log/entries/{size + 2}/proof").status_code == 404
    services.log.checkpoint(at_least=size + 5)
    assert client.get(f"/log/tile/0/002.p/{size + 5 - 512}").status_code == 200


@on_sqlite
def test_a_narrower_tile_of_an_earlier_checkpoint_is_still_served(client: FlaskClient, size: int) -> None:
    whole = client.get("/log/tile/0/000").data
    assert client.get("/log/tile/0/000.p/17").data == whole[: 17 * 32]


@on_sqlite
@pytest.mark.parametrize("index", [0, 255, 256, 699])
def test_the_proof_of_an_entry_holds_for_the_leaf_in_its_bundle(
    services: Services, client: FlaskClient, size: int, index: int
) -> None:
    answer = client.get(f"/v1/log/entries/{index}/proof")
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    tile, offset = divmod(index, 256)
    name = f"{tile:03d}" if tile < 2 else "002.p/188"
    leaf = parse_entry_bundle(client.get(f"/log/tile/entries/{name}").data, 256 if tile < 2 else 188)[offset]
    checkpoint = verify_leaf_proof(answer.text, leaf_hash(leaf), services.log.verifier)
    assert (checkpoint.size, parse_proof(answer.text).index) == (size, index)


@on_sqlite
@pytest.mark.parametrize("index", ["700", "99999999999999999999999999", "-1", "x", "1.5"])
def test_there_is_no_proof_of_what_is_no_entry(client: FlaskClient, size: int, index: str) -> None:
    assert client.get(f"/v1/log/entries/{index}/proof").status_code == 404


@on_sqlite
def test_a_checkpoint_is_signed_by_the_log(services: Services, client: FlaskClient, size: int) -> None:
    assert open_checkpoint(client.get("/log/checkpoint").data, services.log.verifier).checkpoint.size == size
