"""The page and the JSON of the ledger's health: they say what is, and nothing looks better than it is."""

from __future__ import annotations

import re
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import insert

from app.core.clock import now_ms
from app.core.services import Services
from app.core.witness_results import WitnessResults
from app.transparency.auditing import run_due_audits
from app.transparency.service import LedgerState, health, take_memory
from ledger.alarms import AlarmKind, raise_alarm
from ledger.checkpoint import Checkpoint, sign_checkpoint
from ledger.cosignature import CosignatureSigner
from ledger.storage.engine import begin_write
from ledger.storage.tables import ledger_cosignatures, ledger_freezes
from ledger.witnessing.client import Report, Result
from ledger.witnessing.policy import Policy, Witness
from tests.app.transparency.transparency_builders import log_signer, with_policy
from tests.app.verification.verdict_builders import make_world
from tests.builders import on_sqlite
from tests.log_builders import new_entry

pytestmark = on_sqlite


def grow(services: Services, start: int, stop: int) -> None:
    services.log.append_many([new_entry(number) for number in range(start, stop)])
    services.log.checkpoint(at_least=services.log.head()[0])


def page(client: FlaskClient, language: str = "en") -> str:
    answer = client.get(f"/ledger?lang={language}")
    assert answer.status_code == 200
    return answer.text


def told(client: FlaskClient) -> Any:
    return client.get("/v1/log").get_json()


def test_an_empty_ledger_has_a_page_too(client: FlaskClient) -> None:
    assert "No alarm" in page(client)
    assert told(client)["size"] == 0


def test_size_growth_key_and_checkpoint_are_told(services: Services, client: FlaskClient) -> None:
    grow(services, 0, 1_234)
    text = page(client)
    assert "1,234" in text
    assert services.log.verifier.to_text().replace("+", "&#43;") in text or services.log.verifier.to_text() in text
    found = told(client)
    assert found["size"] == found["entries_last_hour"] == found["entries_last_day"] == 1_234
    assert found["keys"] == [services.log.verifier.to_text()]
    assert found["successions"] == []
    assert found["checkpoint"] == client.get("/log/checkpoint").text
    assert found["state"] == "writable"


def test_without_witnesses_it_is_said_that_only_the_register_signed(client: FlaskClient) -> None:
    assert "Signed by the register only" in page(client)
    assert told(client)["witnessed"] == {"k": 0, "n": 0, "quorum": False}


def test_each_witness_is_shown_with_how_far_it_is_behind(services: Services, client: FlaskClient) -> None:
    quick, lost = CosignatureSigner.generate("quick.example"), CosignatureSigner.generate("lost.example")
    policy = Policy("a", (), (Witness("a", quick.verifier), Witness("b", lost.verifier)))
    with_policy(services, policy)
    for size in (10, 20, 25):
        grow(services, services.log.head()[0], size)
        published = services.log.checkpoint(at_least=size)
        line = quick.sign(published.note_text.partition("\n\n")[0] + "\n").line()
        with begin_write(services.engine) as connection:
            row = {"size": size, "key_id": quick.verifier.key_id, "line": line, "time": now_ms() + 700}
            connection.execute(insert(ledger_cosignatures).values(row))
    grow(services, 25, 29)
    text = page(client)
    assert "Signed by the register only" not in text
    assert "quick.example" in text
    assert "nothing yet" in text
    found = {witness["name"]: witness for witness in told(client)["witnesses"]}
    assert (found["quick.example"]["size"], found["lost.example"]["size"]) == (25, None)
    newest = told(client)["size"]
    assert found["lost.example"]["entries_behind"] == newest
    assert found["quick.example"]["entries_behind"] == newest - 25
    assert text.count('class="plot"') == 3  # two of growth, one witness that has something to draw


def test_audits_are_listed_with_their_result_and_who_ran_them(services: Services, client: FlaskClient) -> None:
    assert "No audit was recorded yet" in page(client)
    make_world(services)
    run_due_audits(services, now=now_ms())
    text = page(client)
    assert "No fault" in text
    assert "marchamo worker" in text
    assert [(audit["mode"], audit["ok"]) for audit in told(client)["audits"]] == [("since", True), ("sample", True)]


def test_an_alarm_is_at_the_top_and_its_evidence_is_shown_harmlessly(services: Services, client: FlaskClient) -> None:
    raise_alarm(services.engine, AlarmKind.FORK, detail="Two <b>histories</b>.", evidence="<script>alert(1)</script>")
    text = page(client)
    assert "1 alarm: something contradicts this register" in text
    assert "No alarm" not in text
    assert text.index("something contradicts") < text.index('class="plot"')
    assert "&lt;script&gt;" in text
    assert "<script>alert" not in text
    assert "alarma" in page(client, "es")


def test_what_the_registry_says_of_alarms_is_said_in_spanish_too(services: Services, client: FlaskClient) -> None:
    for size in (services.log.head()[0], services.log.head()[0] + 7):
        forged = sign_checkpoint(Checkpoint(services.log.origin, size + 1, bytes(32)), log_signer(services)).note_text
        take_memory(services, forged)
    grow(services, 0, 1)
    run_due_audits(services, now=now_ms())
    text = page(client, "es")
    assert "la clave de este registro firmó" in text
    assert "Una auditoría encontró una falla en" in text
    assert "A device showed" not in text


def test_more_alarms_than_fit_are_counted(services: Services, client: FlaskClient) -> None:
    for number in range(23):
        raise_alarm(services.engine, AlarmKind.WITNESS, detail="It refuses.", evidence=str(number))
    assert "23 alarms" in page(client)
    assert "and 3 more" in page(client)
    assert len(told(client)["alarms"]) == 20
    assert told(client)["alarm_count"] == 23


def test_a_frozen_ledger_says_so(services: Services, client: FlaskClient) -> None:
    grow(services, 0, 3)
    with begin_write(services.engine) as connection:
        connection.execute(insert(ledger_freezes).values({"entry": 2, "time": now_ms()}))
    assert told(client)["state"] == LedgerState.FROZEN
    assert "Closed for good" in page(client)
    assert "Cerrado definitivamente" in page(client, "es")


def test_a_ledger_that_may_not_be_written_still_has_its_page(services: Services, client: FlaskClient) -> None:
    grow(services, 0, 3)
    services.settings.effective_high_water_file.unlink()
    assert told(client)["state"] == LedgerState.READ_ONLY
    text = page(client)
    assert "Stopped" in text
    assert "Its operator has to act; checking goes on." in text
    assert "No alarm" not in text
    assert "Su operador tiene que actuar" in page(client, "es")
    assert client.get("/log/checkpoint").status_code == 200


@pytest.mark.parametrize("language", ["en", "es"])
def test_plots_are_described_for_those_who_do_not_see_them(
    services: Services, client: FlaskClient, language: str
) -> None:
    grow(services, 0, 100)
    text = page(client, language)
    plots = re.findall(r"<svg class=\"plot\".*?</svg>", text, re.DOTALL)
    assert len(plots) == 2
    for plot in plots:
        assert 'role="img"' in plot
        labelled = re.search(r'aria-labelledby="([^"]+)" aria-describedby="([^"]+)"', plot)
        assert labelled is not None
        for name in labelled.groups():
            assert re.search(rf'id="{name}">[^<]{{8,}}<', plot)
    assert text.count("<tbody>") >= 1


def test_the_page_names_no_firm_product_or_batch(services: Services, client: FlaskClient) -> None:
    """What the public log does not show, its health must not show either."""
    world = make_world(services)
    text = page(client) + client.get("/v1/log").text
    for private in (world.firm.organisation.name, world.firm.organisation.issuer, world.batch.handle):
        assert private not in text


def note_results(services: Services, *reports: Report) -> None:
    results = WitnessResults(services.settings.data_dir)
    for report in reports:
        results.note(report, now=now_ms())


def test_a_witness_that_refuses_or_is_gone_is_shown_with_its_reason(services: Services, client: FlaskClient) -> None:
    names = ("strict.example", "gone.example")
    with_policy(services, Policy("none", (), tuple(Witness(n, CosignatureSigner.generate(n).verifier) for n in names)))
    grow(services, 0, 3)
    assert {witness["last_result"] for witness in told(client)["witnesses"]} == {None}
    note_results(
        services,
        Report("strict.example", Result.REFUSED, 3, "it answered 403: unknown key <b>"),
        Report("gone.example", Result.UNREACHABLE, 3, "gone.example gave no answer: timed out"),
    )
    found = {witness["name"]: witness for witness in told(client)["witnesses"]}
    assert found["strict.example"]["last_result"] == "refused"
    assert found["strict.example"]["last_result_reason"] == "it answered 403: unknown key <b>"
    assert found["gone.example"]["last_result"] == "unreachable"
    assert found["gone.example"]["last_result_since"] is not None
    text = page(client)
    assert "Refuses" in text
    assert "it answered 403: unknown key &lt;b&gt;" in text
    assert "Does not answer" in text
    assert "respondió 403" in page(client, "es")


def test_a_witness_that_contradicts_is_not_called_behind(services: Services, client: FlaskClient) -> None:
    with_policy(services, Policy("none", (), (Witness("w", CosignatureSigner.generate("w.example").verifier),)))
    grow(services, 0, 3)
    detail = (
        "The witness w.example saw 37 entries of this ledger, which has only 3: entries were lost, the key signs a "
        "second ledger, or the witness errs."
    )
    note_results(services, Report("w.example", Result.CONTRADICTED, 3, detail))
    raise_alarm(services.engine, AlarmKind.FORK, detail=detail, evidence="note")
    text = page(client)
    assert "Contradicts this register" in text
    assert 'data-label="Lines behind"></td>' in text
    spanish = page(client, "es")
    assert spanish.count("vio 37 entradas") == 2
    assert "saw 37 entries" not in spanish


def test_the_delay_of_a_witness_s_first_signature_is_not_counted(services: Services) -> None:
    """The checkpoint that a new witness signs first may have been published long before there was the witness."""
    late = CosignatureSigner.generate("late.example")
    with_policy(services, Policy("none", (), (Witness("late", late.verifier),)))
    for size, delay in ((10, 172_000), (20, 400)):
        grow(services, services.log.head()[0], size)
        published = services.log.checkpoint(at_least=size)
        line = late.sign(published.note_text.partition("\n\n")[0] + "\n").line()
        with begin_write(services.engine) as connection:
            row = {"size": size, "key_id": late.verifier.key_id, "line": line, "time": now_ms() + delay}
            connection.execute(insert(ledger_cosignatures).values(row))
    [witness] = health(services, now=now_ms()).witnesses
    assert witness.usual_lag is not None
    assert witness.usual_lag < 10_000
