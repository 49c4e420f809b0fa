"""The trust list that the service gives: signed, dated, and complete."""

from __future__ import annotations

from dataclasses import replace

import pytest
from flask.testing import FlaskClient

from app import create_app
from app.core.clock import now_ms
from app.core.config import Settings
from app.core.services import Services
from app.verification.service import trusting
from app.verification.service.trusting import LIFETIME_MS
from ledger.errors import TrustRootError
from ledger.keys.rotation import MIN_OVERLAP_DAYS
from ledger.keys.trust_root import TrustRoot, TrustState
from ledger.witnessing.policy import Policy
from scanners.trust import TrustList
from tests.app.conftest import close
from tests.builders import on_sqlite
from tests.witness_builders import cosigner_key, policy_of


def test_the_list_is_made_now_of_the_log_as_it_is_and_ends(client: FlaskClient, services: Services) -> None:
    trust = TrustList.from_json(client.get("/v1/trust").data)
    assert abs(trust.root.as_of - now_ms()) < 60_000
    assert trust.root.expires_at - trust.root.as_of == LIFETIME_MS
    assert trust.root.version == services.log.head()[0]
    assert trust.log_keys == services.log.keys()
    assert trust.state(now_ms()) is TrustState.VALID
    assert trust.witness_policy is None


def test_a_list_outlives_the_overlap_of_two_keys() -> None:
    """Whoever renews once in the life of a list sees every rotation before the old key is retired, or can catch up."""
    assert LIFETIME_MS >= 2 * MIN_OVERLAP_DAYS * 86_400_000


@on_sqlite
def test_the_list_names_the_witnesses_that_count(settings: Settings) -> None:
    policy: Policy = policy_of([cosigner_key("a.example/w"), cosigner_key("b.example/w")], 1)
    path = settings.data_dir / "witnesses.policy"
    path.write_bytes(policy.to_bytes())
    application = create_app(replace(settings, witness_policy=str(path)))
    trust = TrustList.from_json(application.test_client().get("/v1/trust").data)
    close(application)
    assert trust.witness_policy == policy


@on_sqlite
def test_a_list_asked_for_while_the_keys_change_is_made_again(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    sign, asked = TrustRoot.sign, []

    def overtaken(root: TrustRoot, signers: object) -> str:
        asked.append(root)
        if len(asked) == 1:
            raise TrustRootError("signed by others")
        return sign(root, signers)  # type: ignore[arg-type]

    monkeypatch.setattr(TrustRoot, "sign", overtaken)
    trusting.trust_list(services)
    assert len(asked) == 2
