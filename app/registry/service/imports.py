"""Commission what a file lists: shown first, then queued once for the same content."""

from hashlib import sha256
from itertools import count

from sqlalchemy.orm import Session

from app.accounts import service as accounts
from app.core.authorisation import Principal
from app.core.errors import AppError, Invalid, NotSignedIn
from app.core.jobs import Job, JobState
from app.core.services import Services
from app.registry.imports.batches import Reading, read_batches
from app.registry.imports.reading import read_table
from app.registry.rules import MAX_FAULTS
from app.registry.service.commission import queue_commission, state_of_request
from app.registry.service.plans import QuotaTally, find_goods, refuse_taken, size_of
from app.registry.values import ImportPreview
from app.registry.vocabulary import Profile


def preview_import(
    session: Session,
    *,
    organisation_id: int,
    data: bytes,
    product: str | None = None,
    profile: Profile = Profile.SIGNED,
) -> ImportPreview:
    """What the file would commission and everything that is wrong with it; nothing is written.

    Raises Malformed or TooLarge for a file that can not be read at all.
    """
    table = read_table(data)
    issuer = accounts.organisation_by_id(session, organisation_id).issuer
    reading = read_batches(table, product=product, profile=profile, issuer=issuer)
    _check_against_database(session, organisation_id, reading)
    faults = reading.faults.items
    return ImportPreview(
        requests=tuple(reading.requests),
        rows=reading.rows,
        units=sum(map(size_of, reading.requests)),
        faults=tuple(faults[:MAX_FAULTS]),
        fault_count=len(faults),
        details=table.details,
    )


def request_import(
    services: Services,
    *,
    principal: Principal,
    data: bytes,
    product: str | None = None,
    profile: Profile = Profile.SIGNED,
) -> Job:
    """Queue one job that commissions what the file lists; the same file again returns the first job, unless it failed.

    Raises Malformed and TooLarge as `preview_import`, and Invalid with every fault; then nothing is queued.
    """
    if principal.organisation_id is None:
        raise NotSignedIn
    content = sha256(f"{product or ''}\n{profile}\n".encode() + data).hexdigest()
    with Session(services.engine) as session:
        for attempt in count(1):
            key = f"import-{content}-{attempt}"
            state = state_of_request(session, organisation_id=principal.organisation_id, key=key)
            if state is not JobState.FAILED:
                break
        if state is not None:
            issuer = accounts.organisation_by_id(session, principal.organisation_id).issuer
            requests = read_batches(read_table(data), product=product, profile=profile, issuer=issuer).requests
        else:
            preview = preview_import(
                session, organisation_id=principal.organisation_id, data=data, product=product, profile=profile
            )
            if preview.faults:
                raise Invalid(
                    "The file has %(count)s faults; nothing was made.",
                    code="faults_in_file",
                    fix="Mend the rows named here and send the file again.",
                    faults=preview.faults,
                    count=preview.fault_count,
                )
            requests = list(preview.requests)
    return queue_commission(services, principal=principal, requests=requests, idempotency_key=key)


def _check_against_database(session: Session, organisation_id: int, reading: Reading) -> None:
    quotas = QuotaTally()
    for request, row in zip(reading.requests, reading.first_rows, strict=True):
        if reading.is_full:
            return
        try:
            goods = find_goods(session, organisation_id=organisation_id, request=request)
            quotas.refuse_beyond(session, goods, request)
            refuse_taken(session, goods, request)
        except AppError as error:
            if error.faults:
                reading.faults.items.extend(error.faults)
            else:
                reading.faults.add(reading.place(row, "product"), str(error), error.code)
