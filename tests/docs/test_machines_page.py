"""The page about machines: its commands run against a registry that listens."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from app import create_app
from app.access.oauth.assertions import LEEWAY_SECONDS, MAX_LIFE_SECONDS
from app.access.oauth.server import GUESSES_OF_PAIR, TOKENS_OF_CLIENT
from app.access.oauth.tokens import LIFE_SECONDS
from app.access.remembered import CACHE_SECONDS
from app.core.authorisation import Role
from app.core.bootstrap import migrate
from app.core.config import Settings
from app.core.services import Services
from tests.builders import api_key

PAGE = (Path(__file__).parents[2] / "docs" / "machines.md").read_text("utf-8")
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class _Quiet(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: object) -> None:  # noqa: A002  Werkzeug's name
        """Say nothing."""


@dataclass(frozen=True)
class Listening:
    """A registry that listens, and what its commands find in their environment."""

    environment: dict[str, str]
    folder: Path

    def run(self, *command: str, text: str = "") -> str:
        done = subprocess.run(
            command,
            check=False,
            input=text,
            env=self.environment,
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr + done.stdout
        return done.stdout


@pytest.fixture
def listening(tmp_path: Path) -> Iterator[Listening]:
    from app.verification.parts import close_parts

    server: BaseWSGIServer = make_server("127.0.0.1", 0, lambda *_: [], threaded=True, request_handler=_Quiet)
    settings = Settings(
        data_dir=tmp_path / "data",
        public_url=f"http://127.0.0.1:{server.port}",
        scan_durability="kill",
        trust_proxy=True,
        client_certificate_header="Client-Cert",
    )
    migrate(settings)
    application = create_app(settings)
    services: Services = application.extensions["marchamo"]
    server.app = application
    serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    serving.start()
    environment = os.environ | {"MARCHAMO": settings.public_url, "OWNER": api_key(services, Role.OWNER)}
    yield Listening({**environment, "NO_PROXY": "*", "no_proxy": "*"}, tmp_path)
    server.shutdown()
    serving.join()
    server.server_close()
    close_parts(services)
    services.engine.dispose()


def test_the_commands_of_the_page_do_what_it_says(listening: Listening) -> None:
    if any(shutil.which(name) is None for name in ("curl", "jq", "openssl", "base64")):
        pytest.skip("curl, jq, openssl and base64 are not all installed")
    blocks = _BLOCK.findall(PAGE)
    shell = [text for language, text in blocks if language == "sh"]
    assert len(shell) == 5
    said = listening.run("bash", "-eu", "-o", "pipefail", text="\n".join(shell))
    assert said.count('"issuer"') == 4  # a key, its successor, a token, a certificate
    programs = [text for language, text in blocks if language == "python"]
    assert [listening.run(sys.executable, "-W", "error", "-c", text).strip() for text in programs] == ["Bearer"]


def test_the_figures_of_the_page_are_those_of_the_product() -> None:
    assert f"**within {CACHE_SECONDS:.0f} seconds".strip("*") in PAGE
    assert f"work for {LIFE_SECONDS // 60} minutes" in PAGE
    assert f"at most {MAX_LIFE_SECONDS} apart; the clock may be off by {LEEWAY_SECONDS}" in PAGE
    assert f"client {GUESSES_OF_PAIR}\nrefused requests" in PAGE
    assert f"at most {TOKENS_OF_CLIENT} tokens" in PAGE
