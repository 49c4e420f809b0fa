"""The registry's decisions: jurisdictions, second applications, letters, documents of evidence."""

from __future__ import annotations

import hashlib
import io
import re

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import update
from sqlalchemy.orm import Session
from werkzeug.datastructures import FileStorage
from werkzeug.test import encode_multipart

from app.accounts import service as accounts
from app.accounts.models import EvidenceDocumentRow, IssuingRightRow, OrganisationRow
from app.accounts.service.evidence import MAX_DOCUMENT, media_type_of
from app.accounts.vocabulary import OrganisationKind, OrganisationStatus, RightKind
from app.core.authorisation import Role
from app.core.database import write_session
from app.core.errors import Conflict, Invalid, NotFound, TooLarge
from app.core.services import Services
from ledger.audit import audit
from ledger.statement import read_unverified
from tests.builders import (
    ADMINISTRATOR,
    PREFIX,
    api_key,
    bearer,
    make_approved,
    make_approved_firm,
    make_organisation,
    make_registry,
    on_sqlite,
    owner_email,
    principal,
    signed_in,
)
from tests.letters import waiting_letters

PDF = b"%PDF-1.7\n1 0 obj<<>>endobj\ntrailer<<>>\n%%EOF\n"
PNG = (
    b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x00\x00\x00\x00:~\x9bU"
    b"\x00\x00\x00\x00IEND\xaeB`\x82"
)
JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00" + bytes(20) + b"\xff\xd9"


def statement_of(services: Services, index: int | None) -> dict[str, object]:
    assert index is not None
    body = services.log.entry(index).body
    assert body is not None
    return dict(read_unverified(body.statement).payload)


def approve(services: Services, organisation: accounts.Organisation, *countries: str) -> accounts.Organisation:
    return accounts.approve_organisation(
        services,
        issuer=organisation.issuer,
        decided_by=ADMINISTRATOR,
        reason="Papers seen.",
        jurisdiction=countries or None,
    )


def refuse(services: Services, organisation: accounts.Organisation) -> accounts.Organisation:
    return accounts.refuse_organisation(
        services, issuer=organisation.issuer, decided_by=ADMINISTRATOR, reason="No such firm."
    )


def test_an_authority_is_approved_for_its_countries_and_the_ledger_says_so(services: Services) -> None:
    customs = make_organisation(services, kind=OrganisationKind.AUTHORITY)
    approved = approve(services, customs, "US", "MX")
    assert approved.jurisdiction == {"MX", "US"}
    assert statement_of(services, approved.log_index)["jurisdiction"] == "MX US"
    accounts.suspend_organisation(services, issuer=customs.issuer, decided_by=ADMINISTRATOR, reason="Complaint.")
    assert approve(services, customs).jurisdiction == {"MX", "US"}  # as it was decided before


@on_sqlite
@pytest.mark.parametrize("countries", [(), ("XX",), ("mx",), ("MX", "")])
def test_an_authority_without_a_country_is_not_approved(services: Services, countries: tuple[str, ...]) -> None:
    customs = make_organisation(services, kind=OrganisationKind.AUTHORITY)
    with pytest.raises(Invalid) as refused:
        approve(services, customs, *countries)
    assert refused.value.code == "jurisdiction"


@on_sqlite
def test_nobody_else_has_a_jurisdiction(services: Services) -> None:
    firm = make_organisation(services)
    with pytest.raises(Invalid):
        approve(services, firm, "MX")
    assert approve(services, firm).jurisdiction == frozenset()


@pytest.mark.parametrize("changed", ["MX US", None])
def test_the_audit_names_a_jurisdiction_that_nobody_decided(services: Services, changed: str | None) -> None:
    customs = make_approved(services, kind=OrganisationKind.AUTHORITY)
    with write_session(services.engine) as session:
        session.execute(update(OrganisationRow).where(OrganisationRow.id == customs.id).values(jurisdiction=changed))
    report = audit(services.engine, services.log.verifier, extra_checks=(accounts.organisation_check(services.sealer),))
    assert [(fault.code, fault.where) for fault in report.faults] == [
        ("organisation.entry", f"organisations {customs.issuer}")
    ]
    assert "jurisdiction" in report.faults[0].message


def test_a_refused_firm_corrects_its_application_and_is_approved(services: Services) -> None:
    firm = refuse(services, make_organisation(services))
    by = principal(firm)
    again = accounts.apply_again(services, organisation_id=firm.id, by=by, name="Cacao del Sur", country="GT")
    assert (again.status, again.name, again.country) == (OrganisationStatus.PENDING, "Cacao del Sur", "GT")
    assert statement_of(services, again.log_index)["status"] == "pending"
    assert approve(services, firm).name == "Cacao del Sur"
    for use_case in (accounts.apply_again,):
        with pytest.raises(Conflict):
            use_case(services, organisation_id=firm.id, by=by)
    report = audit(services.engine, services.log.verifier, extra_checks=(accounts.organisation_check(services.sealer),))
    assert report.ok


@on_sqlite
def test_decisions_are_told_to_those_who_manage_the_organisation(services: Services) -> None:
    firm = make_organisation(services)
    email = owner_email(services, firm)
    refuse(services, firm)
    accounts.apply_again(services, organisation_id=firm.id, by=principal(firm))
    approve(services, firm)
    asked = accounts.request_right(
        services, organisation_id=firm.id, kind=RightKind.PREFIX, value=PREFIX, evidence="Certificate 7"
    )
    accounts.decide_right(
        services, reference=asked.reference, approve=False, reason="Certificate expired.", decided_by=ADMINISTRATOR
    )
    accounts.suspend_organisation(services, issuer=firm.issuer, decided_by=ADMINISTRATOR, reason="Complaint 7.")
    letters = waiting_letters(services, to=email)
    reasons = ["No such firm.", "Papers seen.", "Certificate expired.", "Complaint 7."]
    assert [reason in letter.text for letter, reason in zip(letters, reasons, strict=True)] == [True] * 4
    assert {letter.path for letter in letters} == {"/organisation"}


@on_sqlite
def test_a_refused_person_reads_why_and_asks_again_on_the_page(client: FlaskClient, services: Services) -> None:
    firm = refuse(services, make_organisation(services))
    signed_in(client, services, owner_email(services, firm))
    page = client.get("/organisation").text
    assert "No such firm." in page
    token = re.search(r'name="csrf_token" value="([^"]+)"', page)
    assert token is not None
    answer = client.post(
        "/organisation/application", data={"csrf_token": token[1], "name": "Cacao del Sur", "country": "gt"}
    )
    assert answer.status_code == 303
    assert "No such firm." not in client.get("/organisation").text


@on_sqlite
def test_all_organisations_are_found_suspended_and_opened_again(client: FlaskClient, services: Services) -> None:
    firm = make_approved_firm(services, prefix=None, name="Mezcal 100% puro")
    make_approved_firm(services, prefix=None, name="Café")
    make_registry(services, email="registry@example.org")
    signed_in(client, services, "registry@example.org")
    for query in ("text=MEZCAL", f"text={firm.issuer.lower()}", "text=100%25"):
        page = client.get(f"/admin/organisations?{query}&status=approved").text
        assert "Mezcal" in page
        assert "Café" not in page
    assert "Mezcal" not in client.get("/admin/organisations?status=suspended").text
    for decision, status in (("suspend", OrganisationStatus.SUSPENDED), ("approve", OrganisationStatus.APPROVED)):
        token = re.search(r'name="csrf_token" value="([^"]+)"', client.get("/admin/organisations").text)
        assert token is not None
        answer = client.post(
            f"/admin/organisations/{firm.issuer}",
            data={"csrf_token": token[1], "decision": decision, "reason": "Complaint 7.", "from": "list"},
        )
        assert answer.headers["Location"] == "/admin/organisations"
        with Session(services.engine) as session:
            assert accounts.organisation_by_id(session, firm.id).status is status
    assert "Complaint 7." in client.get("/admin").text  # among the latest decisions


@pytest.mark.parametrize(
    ("data", "media_type"),
    [(PDF, "application/pdf"), (PNG, "image/png"), (JPEG, "image/jpeg"), (JPEG + b"\0", "image/jpeg")],
)
def test_the_type_of_a_document_is_told_by_its_content(data: bytes, media_type: str) -> None:
    assert media_type_of(data) == media_type


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<html>%PDF-1.7 %%EOF",
        PDF[:-8],
        PNG[:-4],
        PNG[8:],
        JPEG[:-2],
        b"MZ" + PDF,
        b"GIF89a" + bytes(20),
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"PK\x03\x04" + bytes(40),
    ],
)
def test_nothing_else_is_a_document(data: bytes) -> None:
    assert media_type_of(data) is None


def asked_with(services: Services, firm: accounts.Organisation, data: bytes = PDF) -> accounts.Right:
    asked = accounts.request_right(
        services, organisation_id=firm.id, kind=RightKind.PREFIX, value=PREFIX, evidence="Certificate 7"
    )
    return accounts.hand_in_evidence(services, by=principal(firm), reference=asked.reference, data=data)


def test_a_document_is_sealed_and_its_hash_stands_in_the_statement_of_the_decision(services: Services) -> None:
    firm = make_approved_firm(services, prefix=None)
    asked = asked_with(services, firm, PNG)
    asked = accounts.hand_in_evidence(services, by=principal(firm), reference=asked.reference, data=PDF)
    with Session(services.engine) as session:
        row = session.query(EvidenceDocumentRow).one()
        assert PDF not in row.sealed
        assert (row.media_type, row.size) == ("application/pdf", len(PDF))
        document = accounts.read_evidence(session, services, reference=asked.reference)
    assert document.data == PDF
    right = accounts.decide_right(
        services, reference=asked.reference, approve=True, reason="Seen.", decided_by=ADMINISTRATOR
    )
    sha256 = hashlib.sha256(PDF).hexdigest()
    assert statement_of(services, right.log_index)["evidence_sha256"] == right.evidence_sha256 == sha256
    with pytest.raises(Conflict):
        accounts.hand_in_evidence(services, by=principal(firm), reference=asked.reference, data=PNG)


@on_sqlite
def test_a_document_of_another_or_too_large_or_of_another_type_is_refused(services: Services) -> None:
    firm, stranger = (make_approved_firm(services, prefix=None) for _ in range(2))
    asked = asked_with(services, firm)

    def hand_in(by: accounts.Organisation, data: bytes) -> None:
        accounts.hand_in_evidence(services, by=principal(by), reference=asked.reference, data=data)

    with pytest.raises(NotFound):
        hand_in(stranger, PDF)
    with pytest.raises(TooLarge):
        hand_in(firm, PDF + bytes(MAX_DOCUMENT))
    with pytest.raises(Invalid) as refused:
        hand_in(firm, b"<html></html>")
    assert refused.value.code == "document_type"


def test_the_audit_names_a_document_that_was_swapped_or_taken_away(services: Services) -> None:
    firm = make_approved_firm(services, prefix=None)
    asked = asked_with(services, firm)
    accounts.decide_right(services, reference=asked.reference, approve=True, reason="Seen.", decided_by=ADMINISTRATOR)
    checks = (accounts.right_check(services.sealer), accounts.evidence_check(services.sealer))

    def codes() -> list[str]:
        return [fault.code for fault in audit(services.engine, services.log.verifier, extra_checks=checks).faults]

    assert codes() == []
    swapped = services.sealer.seal(PNG, f"evidence {asked.reference}")
    changes = [
        (update(EvidenceDocumentRow).values(sealed=swapped), ["evidence.document"]),
        (update(EvidenceDocumentRow).values(sealed=bytes(60)), ["evidence.document"]),
        (update(IssuingRightRow).values(evidence_sha256=None), ["right.entry"]),
    ]
    for statement, expected in changes:
        with write_session(services.engine) as session:
            session.execute(statement)
        assert codes() == expected
    with write_session(services.engine) as session:
        session.query(EvidenceDocumentRow).delete()
        session.execute(update(IssuingRightRow).values(evidence_sha256=hashlib.sha256(PDF).hexdigest()))
    assert codes() == ["evidence.missing"]


@on_sqlite
def test_the_desk_downloads_a_document_as_an_attachment_that_no_browser_opens(app: Flask, services: Services) -> None:
    firm = make_approved_firm(services, prefix=None)
    owner = signed_in(app.test_client(), services, owner_email(services, firm))
    token = re.search(r'name="csrf_token" value="([^"]+)"', owner.get("/organisation").text)
    assert token is not None
    form = {"csrf_token": token[1], "kind": "prefix", "value": PREFIX, "evidence": "Certificate 7"}
    bad = owner.post("/organisation/rights", data={**form, "document": (io.BytesIO(b"<html>"), "certificate.pdf")})
    assert bad.status_code == 422
    with Session(services.engine) as session:
        assert accounts.list_rights(session, organisation_id=firm.id) == []  # all or nothing
    large = PDF + bytes(3 * 1024 * 1024) + b"%%EOF"
    file = FileStorage(io.BytesIO(large), "certificate.pdf")
    boundary, body = encode_multipart({**form, "document": file})  # the client's own way leaves a file open
    sent = owner.post("/organisation/rights", data=body, content_type=f'multipart/form-data; boundary="{boundary}"')
    assert sent.status_code == 303
    with Session(services.engine) as session:
        (right,) = accounts.list_rights(session, organisation_id=firm.id)
    make_registry(services, email="registry@example.org")
    desk = signed_in(app.test_client(), services, "registry@example.org")
    path = f"/admin/rights/{right.reference}/evidence"
    assert path in desk.get("/admin").text
    answer = desk.get(path)
    assert answer.data == large
    assert answer.headers["Content-Disposition"] == f'attachment; filename="evidence-{right.reference}.pdf"'
    assert "sandbox" in " ".join(answer.headers.getlist("Content-Security-Policy"))
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert owner.get(path).status_code == 403


@on_sqlite
def test_a_document_goes_in_and_out_over_the_api(client: FlaskClient, services: Services) -> None:
    firm = make_approved_firm(services, prefix=None)
    owner = bearer(api_key(services, Role.OWNER, organisation=firm))
    asked = client.post(
        "/v1/rights", json={"kind": "prefix", "value": PREFIX, "evidence": "Certificate 7"}, headers=owner
    ).get_json()
    path = f"/v1/rights/{asked['reference']}/evidence"
    sent = client.post(path, data={"document": (io.BytesIO(JPEG), "x.jpg")}, headers=owner)
    assert sent.get_json()["evidence_sha256"] == hashlib.sha256(JPEG).hexdigest()
    assert client.post(path, data={"document": "text"}, headers=owner).status_code == 422
    registry = bearer(api_key(services, Role.PLATFORM_ADMINISTRATOR))
    assert client.get(path, headers=registry).data == JPEG
    assert client.get(path, headers=owner).status_code == 403
