"""Our events as EPCIS 2.0 (GS1, JSON-LD binding) object events: what is signed, logged and later exchanged.

The events that we sign leave the JSON-LD context out: it is that of GS1 for EPCIS 2.0, and the prefix `marchamo` stands
for `OWN_VOCABULARY`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from app.core.clock import to_iso
from app.facts.vocabulary import EVENT_RULES, EventKind

_INCORRECT_DATA = "incorrect_data"  # CBV 2.0, section 7.5: error reasons


@dataclass(frozen=True, slots=True)
class Place:
    """Where something happened: latitude and longitude in millionths of a degree, accuracy in metres, and its source.

    source: `gps`, `ip`, `site` (the known address of a site) or `none`.
    """

    latitude: int | None = None
    longitude: int | None = None
    accuracy: int | None = None
    source: str = "none"

    @property
    def known(self) -> bool:
        """Whether there are coordinates."""
        return self.latitude is not None and self.longitude is not None

    def geo_uri(self) -> str:
        """Give the RFC 5870 URI, e.g. ``geo:19.432608,-99.133209;u=30``."""
        latitude, longitude = self.latitude or 0, self.longitude or 0
        uncertainty = f";u={self.accuracy}" if self.accuracy is not None else ""
        return f"geo:{latitude / 1e6:.6f},{longitude / 1e6:.6f}{uncertainty}"


NOWHERE = Place()


def object_event(
    *,
    event_id: str,
    kind: EventKind,
    event_time: int,
    uris: Sequence[str],
    class_uri: str | None,
    quantity: int,
    place: Place = NOWHERE,
    note: str = "",
    country: str | None = None,
) -> dict[str, Any]:
    """Give the ObjectEvent of `kind` about the units `uris`, or about `quantity` units of the class `class_uri`.

    country: ISO 3166-1 alpha-2 code of the country by whose law an authority acts. event_time: milliseconds. The offset
    is always +00:00: where the clock on the wall stood is not known.
    """
    rule = EVENT_RULES[kind]
    event: dict[str, Any] = {
        "type": "ObjectEvent",
        "eventID": event_id,
        "eventTime": to_iso(event_time),
        "eventTimeZoneOffset": "+00:00",
        "action": rule.action,
        "bizStep": rule.business_step,
        "disposition": rule.disposition,
    }
    if uris:
        event["epcList"] = list(uris)
    if class_uri is not None:
        event["quantityList"] = [{"epcClass": class_uri, "quantity": quantity}]
    if place.known:
        event["readPoint"] = {"id": place.geo_uri()}
    if country is not None:
        event["marchamo:country"] = country
    if note:
        event["marchamo:note"] = note
    return event


def error_declaration(original: dict[str, Any], *, declared_at: int, note: str = "") -> dict[str, Any]:
    """Give the original event again with the declaration that it was an error (EPCIS 2.0, section 7.4.1.2).

    It repeats the eventID of the event it takes back: that is how EPCIS names what is corrected.
    """
    declaration: dict[str, Any] = {"declarationTime": to_iso(declared_at), "reason": _INCORRECT_DATA}
    corrected = {**original, "errorDeclaration": declaration}
    if note:
        corrected["marchamo:note"] = note
    return corrected
