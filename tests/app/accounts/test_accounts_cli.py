"""`marchamo account`: what the registry's people do at the machine itself."""

import pytest
from click.testing import CliRunner, Result
from sqlalchemy.orm import Session

from app.access import cli
from app.access import service as access
from app.accounts import service as accounts
from app.accounts.cli import COMMAND_LINE
from app.accounts.vocabulary import OrganisationStatus, RightKind, RightStatus
from app.core.config import Settings
from app.core.errors import NotFound
from app.core.services import Services
from tests.builders import PREFIX, make_organisation, on_sqlite

pytestmark = on_sqlite


@pytest.fixture
def environment(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """The commands find the test's database as they would any other: by their settings."""
    monkeypatch.setattr(Settings, "from_environment", lambda: settings)


def run(*arguments: str, answers: str | None = None) -> Result:
    return CliRunner().invoke(cli.account, arguments, input=answers, catch_exceptions=False)


def test_an_administrator_is_added_with_a_password_typed_twice(environment: None, services: Services) -> None:
    password = "correct horse battery staple"
    made = run("administrator", "--email", "ada@example.org", "--name", "Ada", answers=f"{password}\n{password}\n")
    assert made.exit_code == 0
    assert password not in made.output
    assert access.sign_in(services, email="ada@example.org", password=password, visitor=access.Visitor("192.0.2.1"))
    assert "registry" in run("list").output


def test_an_organisation_and_its_right_are_decided_on(environment: None, services: Services) -> None:
    firm = make_organisation(services, name="Miel del Valle")
    assert "Miel del Valle" in run("list", "--status", "pending").output
    assert run("decide", firm.issuer, "approve", "--reason", "Papers seen.").exit_code == 0
    right = accounts.request_right(
        services, organisation_id=firm.id, kind=RightKind.PREFIX, value=PREFIX, evidence="Certificate 7"
    )
    assert right.reference in run("requests").output
    decided = run("decide-right", right.reference, "refuse", "--reason", "Certificate expired.")
    assert "refused" in decided.output
    with Session(services.engine) as session:
        assert accounts.organisation_by_id(session, firm.id).status is OrganisationStatus.APPROVED
        assert accounts.list_rights(session, organisation_id=firm.id)[0].status is RightStatus.REFUSED


@pytest.mark.parametrize("command", ["decide", "decide-right"])
def test_a_decision_has_to_be_said(environment: None, command: str) -> None:
    assert run(command, "ABC123", "--reason", "Papers seen.").exit_code == 2
    assert run(command, "ABC123", "perhaps", "--reason", "Papers seen.").exit_code == 2
    assert run(command, "ABC123", "approve").exit_code == 2


def test_the_secret_of_an_api_key_stands_alone_on_standard_output(environment: None, services: Services) -> None:
    firm = make_organisation(services)
    accounts.approve_organisation(services, issuer=firm.issuer, decided_by=COMMAND_LINE, reason="Seen.")
    made = run("api-key", firm.issuer, "--name", "till", "--role", "operator")
    assert made.stdout.startswith("mch_")
    assert len(made.stdout.splitlines()) == 1
    with pytest.raises(NotFound):
        run("api-key", "NOBODY", "--name", "till", "--role", "operator")
