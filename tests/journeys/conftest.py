"""A real server on loopback, its worker beside it, and Chromium in front of it."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from flask import Flask
from playwright.sync_api import Browser, sync_playwright
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from app import create_app
from app.core import jobs
from app.core.bootstrap import migrate
from app.core.config import Settings
from app.core.services import Services
from app.registry.jobs import job_handlers
from tests.journeys.visiting import PHONE, Site, Visitor

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or ""
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


class _Quiet(WSGIRequestHandler):
    def log(self, type: str, message: str, *arguments: object) -> None:  # noqa: A002  Werkzeug's name
        pass


class _Worker(threading.Thread):
    """Runs jobs as `marchamo worker` does, in this process."""

    def __init__(self, services: Services) -> None:
        super().__init__(daemon=True)
        self._services = services
        self._stopping = threading.Event()

    def run(self) -> None:
        handlers = job_handlers(self._services)
        while not self._stopping.is_set():
            if not jobs.run_next(self._services.engine, handlers):
                self._stopping.wait(0.1)

    def stop(self) -> None:
        self._stopping.set()
        self.join(30)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A registry of its own for each file of journeys."""
    with running_site(tmp_path_factory.mktemp("site"), "127.0.0.1") as running:
        yield running


@pytest.fixture(scope="module")
def named_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A registry at a name: browsers make no passkeys for an address of figures."""
    with running_site(tmp_path_factory.mktemp("site"), "localhost") as running:
        yield running


@contextmanager
def running_site(folder: Path, host: str) -> Iterator[Site]:
    """A registry with its worker, where a password alone opens every role."""
    server: BaseWSGIServer = make_server("127.0.0.1", 0, Flask("port"), threaded=True)
    port = server.server_port
    server.server_close()
    settings = Settings(
        data_dir=folder,
        public_url=f"http://{host}:{port}",
        key_encryption_key=bytes(range(32)),
        scan_durability="kill",
        rate_limits=False,
        second_factor_roles=(),
    )
    migrate(settings)
    application = create_app(settings)
    services: Services = application.extensions["marchamo"]
    server = make_server("127.0.0.1", port, application, threaded=True, request_handler=_Quiet)
    serving = threading.Thread(target=server.serve_forever, daemon=True)
    worker = _Worker(services)
    serving.start()
    worker.start()
    yield Site(settings.public_url, services)
    worker.stop()
    server.shutdown()
    serving.join(10)
    server.server_close()
    services.engine.dispose()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium, once a test process."""
    if not CHROMIUM:
        pytest.skip("Chromium is not installed (CHROMIUM names its path)")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield started
        started.close()


@pytest.fixture
def visitor(browser: Browser, site: Site, request: pytest.FixtureRequest) -> Iterator[Visitor]:
    """A visitor with a phone who reads Spanish, unless the test is parametrised with (language, viewport)."""
    language, viewport = getattr(request, "param", ("es", PHONE))
    context = browser.new_context(viewport=viewport, locale=language)
    context.set_default_timeout(10_000)
    yield Visitor(context, site.address)
    context.close()
