"""A small registry with one printed batch, and what it gives a scanner: trust list, proof bundle, receipt, API keys."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy.orm import Session

from app import create_app
from app.access import service as access
from app.core.authorisation import Role
from app.core.bootstrap import migrate
from app.core.config import Settings
from app.core.services import Services
from app.demo import parties as making
from app.registry import service as registry
from app.verification import service as verification
from app.verification.actions import Action
from scanners.trust import TrustList
from tests.builders import bearer
from tests.serving import Server, free_port, serving

UNITS = 12
NONCE = "asked-at-gate-7"


@dataclass(frozen=True)
class SmallRegistry:
    """What scanners need of a registry, and the settings to serve it under."""

    settings: Settings
    codes: list[str]
    trust: bytes
    bundle: bytes
    receipt: bytes
    api_keys: dict[Role, str]

    @property
    def trust_list(self) -> TrustList:
        return TrustList.from_json(self.trust)


def make_small_registry(folder: Path) -> SmallRegistry:
    """A registry in its own SQLite file: one firm, one activated batch."""
    settings = Settings(data_dir=folder, public_url=f"http://127.0.0.1:{free_port()}", rate_limits=False)
    migrate(settings)
    application = create_app(settings)
    services: Services = application.extensions["marchamo"]
    parties = making.ensure_parties(services, units=UNITS)
    owner = making.principal_of(services, parties.firm)
    verification.act_on_batch(services, handle=parties.batch, action=Action.ACTIVATE, principal=owner)
    keys = {}
    for role, party in ((Role.INSPECTOR, parties.customs), (Role.OWNER, parties.firm)):
        _, keys[role] = access.create_api_key(
            services,
            principal=making.principal_of(services, party),
            name="scanner",
            role=role,
            scopes=None,
            days=1,
        )
    with Session(services.engine) as session:
        batch = registry.find_batch(session, parties.batch)
        codes = [
            code.text
            for code in registry.codes_of_batch(
                session, services.sealer, batch, stem=settings.code_stem, start=0, count=None
            )
        ]
    client = application.test_client()
    verdict = client.post(
        "/v1/verify", json={"code": codes[0], "nonce": NONCE}, headers=bearer(keys[Role.INSPECTOR])
    ).get_json()
    bundle = client.get(verdict["proof_url"], query_string={"S": codes[0].split("S=")[1]}).data
    found = SmallRegistry(settings, codes, client.get("/v1/trust").data, bundle, verdict["receipt"].encode(), keys)
    services.engine.dispose()
    return found


@pytest.fixture(scope="session")
def small_registry(tmp_path_factory: pytest.TempPathFactory) -> SmallRegistry:
    """Made once a test process."""
    return make_small_registry(tmp_path_factory.mktemp("registry"))


@pytest.fixture(scope="session")
def server(small_registry: SmallRegistry) -> Iterator[Server]:
    """The small registry behind a real server."""
    settings = small_registry.settings
    with serving(settings.data_dir, port=int(settings.public_url.rsplit(":", 1)[1])) as started:
        started.wait_until_healthy()
        yield started


@pytest.fixture
def trust_file(small_registry: SmallRegistry, tmp_path: Path) -> Path:
    """The trust list as a file."""
    path = tmp_path / "trust.json"
    path.write_bytes(small_registry.trust)
    return path
