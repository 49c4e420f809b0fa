"""Register products and find them."""

from dataclasses import dataclass

from sqlalchemy import Connection, or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.accounts import service as accounts
from app.core.clock import now_ms
from app.core.database import session_on
from app.core.errors import Conflict, Faults, NotFound
from app.core.services import Services
from app.registry.models import ProductRow
from app.registry.references import check_item, parse_reference
from app.registry.service.plans import require_entitlement
from app.registry.service.statements import organisation_entry
from app.registry.values import Product
from app.registry.vocabulary import Sector
from scanners.codes.identity import CodeKind

MAX_NAME = 200
MAX_BRAND = 100
MAX_DESCRIPTION = 5_000
MAX_PAGE = 200


@dataclass(frozen=True, slots=True)
class ProductPage:
    """Some products, and the cursor of the next page if there is one."""

    items: list[Product]
    next_cursor: str | None


def register_product(
    services: Services,
    *,
    organisation_id: int,
    name: str,
    brand: str,
    description: str = "",
    sector: Sector = Sector.OTHER,
    gtin: str | None = None,
    item: str | None = None,
) -> Product:
    """Register a GTIN that the organisation may issue, or an item of its own namespace: one entry on the ledger.

    Raises Invalid for the form, Forbidden without a right to the GTIN, Conflict when the product is registered.
    """
    name, brand = " ".join(name.split()), " ".join(brand.split())
    description = description.strip()
    _check_texts(name, brand, description, gtin, item)
    with Session(services.engine) as session:
        organisation = accounts.organisation_by_id(session, organisation_id)
        if gtin is not None:
            kind, identifier = CodeKind.GTIN, accounts.normalise_gtin(gtin)
            require_entitlement(session, organisation_id=organisation_id, gtin=identifier)
        else:
            kind, identifier = CodeKind.ITEM, f"{organisation.issuer}/{check_item(item or '')}"
        if _row(session, kind, identifier) is not None:
            raise _registered_before(identifier)
        signer = accounts.statement_signer(session, services.sealer, organisation_id=organisation_id)
    created_at = now_ms()
    entry = organisation_entry(
        services,
        signer,
        kind="product",
        subject_kind=f"product {kind}",
        subject=identifier,
        organisation=organisation.issuer,
        at_ms=created_at,
        product=identifier,
        name=name,
        brand=brand,
        description=description,
        sector=sector.value,
    )

    def apply(connection: Connection, index: int) -> Product:
        accounts.refuse_revoked_signer(connection, signer)
        row = ProductRow(
            kind=kind.value,
            identifier=identifier,
            organisation_id=organisation_id,
            name=name,
            brand=brand,
            description=description,
            sector=sector.value,
            created_at=created_at,
            log_index=index,
        )
        try:
            with session_on(connection) as writing:
                writing.add(row)
                writing.flush()
                return _product(row)
        except IntegrityError as error:
            raise _registered_before(identifier) from error

    product = services.log.append(entry, apply).result
    if product is None:  # the very same statement, from another request that was retried
        with Session(services.engine) as session:
            return find_product(session, identifier)
    return product


def find_product(session: Session, reference: str, *, organisation_id: int | None = None) -> Product:
    """The product with this reference: a GTIN of any length, or ``<ISSUER>/<ITEM>``.

    Only one of the organisation's own when it is named. Raises NotFound, Invalid.
    """
    kind, identifier = parse_reference(reference)
    row = _row(session, kind, identifier)
    if row is None or organisation_id not in (None, row.organisation_id):
        raise NotFound("This product is not registered.", code="unknown_product")
    return _product(row)


def list_products(
    session: Session, *, organisation_id: int, cursor: str | None = None, limit: int = 50, text: str = ""
) -> ProductPage:
    """The organisation's products by reference; `text` narrows them to names, brands or references that contain it."""
    query = select(ProductRow).where(ProductRow.organisation_id == organisation_id)
    if text:
        query = query.where(
            or_(
                ProductRow.name.icontains(text, autoescape=True),
                ProductRow.brand.icontains(text, autoescape=True),
                ProductRow.identifier.icontains(text, autoescape=True),
            )
        )
    if cursor:
        query = query.where(ProductRow.identifier > cursor)
    limit = max(1, min(limit, MAX_PAGE))
    rows = session.scalars(query.order_by(ProductRow.identifier).limit(limit + 1)).all()
    return ProductPage(
        [_product(row) for row in rows[:limit]], rows[limit - 1].identifier if len(rows) > limit else None
    )


def _check_texts(name: str, brand: str, description: str, gtin: str | None, item: str | None) -> None:
    faults = Faults()
    if (gtin is None) == (item is None):
        faults.add("/gtin", "Give either a GTIN or, for goods without one, an item reference of your own.")
    if not 1 <= len(name) <= MAX_NAME or not name.isprintable():
        faults.add("/name", f"The name has 1 to {MAX_NAME} characters.")
    if len(brand) > MAX_BRAND or not brand.isprintable():
        faults.add("/brand", f"The brand has at most {MAX_BRAND} characters.")
    if len(description) > MAX_DESCRIPTION or "\x00" in description:
        faults.add("/description", f"The description has at most {MAX_DESCRIPTION} characters.")
    faults.refuse_if_any("Some of the entries can not be used.")


def _registered_before(identifier: str) -> Conflict:
    return Conflict("The product %(product)s is registered already.", code="product_exists", product=identifier)


def _row(session: Session, kind: CodeKind, identifier: str) -> ProductRow | None:
    return session.scalar(
        select(ProductRow)
        .where(ProductRow.kind == kind.value, ProductRow.identifier == identifier)
        .execution_options(populate_existing=True)
    )


def _product(row: ProductRow) -> Product:
    if row.organisation_id is None or row.log_index is None:
        raise NotFound  # the row that stands for all cases is nobody's product
    return Product(
        id=row.id,
        kind=CodeKind(row.kind),
        reference=row.identifier,
        organisation_id=row.organisation_id,
        name=row.name,
        brand=row.brand,
        description=row.description,
        sector=Sector(row.sector),
        created_at=row.created_at,
        log_index=row.log_index,
    )
