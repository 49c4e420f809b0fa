"""Who may state which event about which goods, and what a request to record one has to keep to."""

from app.core.clock import now_ms
from app.core.errors import Forbidden, Invalid
from app.facts.goods import Goods
from app.facts.vocabulary import EVENT_RULES, EventKind, Speaker

MAX_UNITS = 1_000
"""Units that one event can name; more means the whole batch or several events."""
MAX_NOTE = 500
CLOCK_TOLERANCE_MS = 5 * 60_000
"""How far ahead of ours the clock of a device may run before its time is not believed."""


def check_request(
    kind: EventKind,
    organisation_id: int,
    goods: Goods,
    *,
    jurisdiction: frozenset[str],
    country: str | None,
    event_time: int,
    note: str,
) -> str | None:
    """Refuse what this speaker may not state; gives the country by whose law an authority acts, None for all others."""
    rule = EVENT_RULES[kind]
    if kind is EventKind.COMMISSIONED:
        raise Invalid("A commissioning is recorded by the registry itself.", code="event_kind")
    if rule.speaker is Speaker.ISSUER and organisation_id != goods.issued_by:
        raise Forbidden("Only the organisation that issued these codes can record this.", code="not_issuer")
    if rule.speaker is Speaker.OWNER and organisation_id != goods.issued_by and organisation_id not in goods.owners:
        raise Forbidden(
            "Only the organisation that issued these codes, or the owner of the number, can record this.",
            code="not_issuer",
        )
    if rule.speaker is Speaker.AUTHORITY:
        country = _country_of_act(jurisdiction, country)
    elif country is not None:
        raise Invalid("Only what an authority does names a country.", code="country_not_needed")
    if goods.is_whole_batch and not rule.whole_batch:
        raise Invalid("This can be recorded for single units only, not for a whole batch.", code="units_needed")
    if goods.is_whole_batch and rule.speaker is Speaker.ANYBODY and organisation_id != goods.issued_by:
        raise Forbidden("Only its issuer or an authority can speak for a whole batch.", code="not_issuer")
    if len(goods.unit_ids) > MAX_UNITS or len(goods.uris) != len(goods.unit_ids):
        raise Invalid("One event can name at most %(limit)s units.", code="too_many_units", limit=MAX_UNITS)
    if event_time > now_ms() + CLOCK_TOLERANCE_MS:
        raise Invalid("The time of the event lies in the future.", code="event_in_future", fix="Check the clock.")
    if len(note) > MAX_NOTE:
        raise Invalid("A note has at most %(limit)s characters.", code="note_too_long", limit=MAX_NOTE)
    return country


def _country_of_act(jurisdiction: frozenset[str], country: str | None) -> str:
    """The country in which an authority acts; raises Forbidden where it has no say, Invalid when it must name one."""
    if not jurisdiction:
        raise Forbidden("Only an approved authority can record this.", code="not_authority")
    if country is None:
        if len(jurisdiction) > 1:
            raise Invalid(
                "Say in which country you act: %(countries)s.",
                code="country_needed",
                fix="Name one of the countries of your jurisdiction.",
                countries=", ".join(sorted(jurisdiction)),
            )
        return next(iter(jurisdiction))
    if country not in jurisdiction:
        raise Forbidden(
            "Your authority has no jurisdiction in %(country)s.",
            code="outside_jurisdiction",
            fix="Name a country of your jurisdiction, or ask the authority there.",
            country=country,
        )
    return country
