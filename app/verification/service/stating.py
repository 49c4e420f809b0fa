"""State bundles: everything recorded about a unit, a batch or an organisation, with the proof that nothing is left out.

Unlike a proof bundle it shows what was recorded by others, about other units too where one event names several. So it
is for the issuer, for authorities and the registry, and for whoever may read proofs and holds the code itself.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy.orm import Session

from app.accounts import service as accounts
from app.accounts.vocabulary import OrganisationKind
from app.core.authorisation import ANONYMOUS, Principal
from app.core.errors import Conflict, NotFound
from app.core.services import Services
from app.core.state_map import subject_map
from app.registry import service as registry
from app.verification.service.proving import proof_bundle
from ledger.errors import EntryNotFound, ProofError
from ledger.map.state_proof import unit_subject
from ledger.strict import decode_base64

STATE_FORMAT = "marchamo state bundle v1"


def unit_state(
    services: Services, *, handle: str, serial: str, signature: str | None, principal: Principal
) -> dict[str, Any]:
    """Give the unit's proof bundle, and the states of the unit and of its batch by one map.

    Raises NotFound, also to another organisation that does not show that it holds the code (see `proof_bundle`).
    """
    with Session(services.engine) as session:
        batch = registry.find_batch(session, handle)
        reaches = _reaches(session, principal, batch.organisation_id)
    asker = principal if reaches else ANONYMOUS
    unit = proof_bundle(services, handle=handle, serial=serial, signature=signature, principal=asker)
    subjects = {
        "unit": unit_subject(decode_base64(unit["unit_proof"]["unit_salt"])),
        "batch": accounts.ledger_subject(services.sealer, "batch", handle),
    }
    return _bundle(services, about="unit", name=unit["uri"], unit=unit, subjects=subjects)


def batch_state(services: Services, *, handle: str, principal: Principal) -> dict[str, Any]:
    """Give the state of a batch: its commissioning and what was recorded for all of it.

    Raises NotFound, also to other organisations than its issuer, authorities and the registry.
    """
    with Session(services.engine) as session:
        if not _reaches(session, principal, registry.find_batch(session, handle).organisation_id):
            raise NotFound
    subjects = {"batch": accounts.ledger_subject(services.sealer, "batch", handle)}
    return _bundle(services, about="batch", name=handle, unit=None, subjects=subjects)


def organisation_state(services: Services, *, issuer: str, principal: Principal) -> dict[str, Any]:
    """Give the state of an organisation: the decisions on it, with their reasons, and the life of its keys.

    Raises NotFound, also to other organisations than itself, authorities and the registry.
    """
    with Session(services.engine) as session:
        if not _reaches(session, principal, accounts.organisation_by_issuer(session, issuer).id):
            raise NotFound
    subjects = {"organisation": accounts.organisation_subject(services.sealer, issuer)}
    return _bundle(services, about="organisation", name=issuer, unit=None, subjects=subjects)


def _reaches(session: Session, principal: Principal, organisation_id: int) -> bool:
    """Whether the caller acts for this organisation, for an authority, or for the registry."""
    if principal.organisation_id is None:
        return False
    own = accounts.organisation_by_id(session, principal.organisation_id)
    return own.id == organisation_id or own.kind in {OrganisationKind.AUTHORITY, OrganisationKind.REGISTRY}


def _bundle(
    services: Services, *, about: str, name: str, unit: dict[str, Any] | None, subjects: Mapping[str, bytes]
) -> dict[str, Any]:
    try:
        proofs = subject_map(services).prove_all(list(subjects.values()))
    except EntryNotFound:
        raise NotFound("No state can be proved yet.", code="no_map_yet", fix="Ask again in a minute.") from None
    except ProofError as error:
        raise Conflict("More was recorded about this than one proof can show.", code="state_too_long") from error
    states = {kind: proof.to_members() for kind, proof in zip(subjects, proofs, strict=True)}
    return {"format": STATE_FORMAT, "about": about, "name": name, "unit": unit, "states": states}
