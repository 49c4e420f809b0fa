"""What the program is made of is written down, and a part with a known vulnerability fails the build."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import ComponentScope

REPOSITORY = Path(__file__).parents[2]
HASH = "a" * 64
LOCK = f"flask==3.1.3 \\\n    --hash=sha256:{HASH}\nleaky==1.0 \\\n    --hash=sha256:{HASH}\n"
ADVISORY = {
    "vulns": [
        {
            "id": "PYSEC-0000-1",
            "summary": "It leaks.",
            "affected": [
                {
                    "package": {"name": "leaky", "ecosystem": "PyPI"},
                    "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "1.1"}]}],
                }
            ],
        }
    ]
}


@pytest.fixture
def advisories() -> Iterator[str]:
    """An advisory database on loopback that knows one vulnerability: of leaky 1.0."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            known = asked["package"]["name"] == "leaky" and asked["version"] == "1.0"
            answer = json.dumps(ADVISORY if known else {}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_arguments: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/v1/query"
    server.shutdown()
    thread.join()
    server.server_close()


def audit(tmp_path: Path, text: str, **settings: str) -> subprocess.CompletedProcess[str]:
    lock = tmp_path / "requirements.lock"
    lock.write_text(text)
    return subprocess.run(
        [sys.executable, REPOSITORY / ".ci" / "dependency_audit.py", lock],
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
        env=os.environ | {"XDG_CACHE_HOME": str(tmp_path), "HOME": str(tmp_path)} | settings,
    )


def test_a_version_with_a_known_vulnerability_fails(tmp_path: Path, advisories: str) -> None:
    done = audit(tmp_path, LOCK, MARCHAMO_AUDIT_OSV=advisories)
    assert done.returncode == 1
    assert "leaky 1.0: PYSEC-0000-1, fixed in 1.1" in done.stdout


def test_versions_without_one_pass(tmp_path: Path, advisories: str) -> None:
    done = audit(tmp_path, LOCK.replace("leaky==1.0", "leaky==1.1"), MARCHAMO_AUDIT_OSV=advisories)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 packages, 0 known vulnerabilities" in done.stdout


def test_without_a_database_it_says_that_the_audit_was_not_made(tmp_path: Path) -> None:
    nobody = "http://127.0.0.1:1/v1/query"
    done = audit(tmp_path, LOCK, MARCHAMO_AUDIT_OSV=nobody)
    assert done.returncode == 0
    assert done.stdout.startswith("dependency audit: NOT MADE (")
    assert len(done.stdout.splitlines()) == 1
    assert audit(tmp_path, LOCK, MARCHAMO_AUDIT_OSV=nobody, MARCHAMO_AUDIT="required").returncode == 1


def test_the_bill_of_materials_names_every_pinned_package(tmp_path: Path) -> None:
    written = tmp_path / "sbom.cdx.json"
    command = [sys.executable, str(REPOSITORY / ".ci" / "sbom.py"), str(written)]
    subprocess.run(command, check=True, capture_output=True)
    text = written.read_text()
    read: Bom = Bom.from_json(data=json.loads(text))  # type: ignore[attr-defined]  # made by a decorator
    scopes = {(one.name, one.version): one.scope for one in read.components}
    lines = (REPOSITORY / "requirements.lock").read_text().splitlines()
    assert len(scopes) == len({line.split(";")[0].rstrip(" \\") for line in lines if line[:1].isalnum()}) > 100
    by_name = {name: scope for (name, _), scope in scopes.items()}
    assert by_name["flask"] is ComponentScope.REQUIRED
    assert by_name["pytest"] is ComponentScope.EXCLUDED
    assert all(one.purl is not None and one.purl.version == one.version for one in read.components)
    subprocess.run(command, check=True, capture_output=True)
    assert written.read_text() == text, "the same lock file gives the same bytes"
