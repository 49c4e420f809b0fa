"""What the product adds to the ledger's own commands: its checks in every audit, and what an erasure has to reach."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import Any

from sqlalchemy import Engine

from app.access import service as access
from app.accounts import service as accounts
from app.core.config import Settings
from app.core.resealing import open_sealer
from app.core.sealing import Sealer
from app.core.witnesses import load_policy
from app.devices import service as devices
from app.facts import service as facts
from app.facts.scans.open import open_scan_store
from app.facts.vocabulary import EVENT_RULES, EventKind
from app.registry import service as registry
from app.webhooks import service as webhooks
from ledger.audit import ExtraCheck
from ledger.audit.witnesses import cosignature_check
from ledger.cli import LedgerContext

NEEDED_BODIES = MappingProxyType(
    {
        "act": "without it nobody could tell who gave or took a power; it names people by number only",
        "batch": "without it no unit of the batch could be proved",
        "key": "without it nobody could tell which key signed a code or a statement",
        "organisation": "without it nobody could tell who may issue codes",
        "product": "without it the product's batches would hang on nothing",
        "redaction": "without it nobody could tell a redacted scan from one that was forged; it names nobody",
        "right": "without it nobody could tell who may issue codes",
        "signed": "without it nobody could tell which signatures the firm itself had made; it names nobody",
        "scans": "without it a scan that was taken away could not be missed; it names nobody",
    }
)
"""Kinds of entry whose bodies are not erased, and why (docs/decisions/0007-what-can-be-erased.md)."""


GRAVE_EVENTS = (
    *(EventKind.HELD, EventKind.SEIZED, EventKind.RELEASED, EventKind.RECALLED, EventKind.RECALL_LIFTED),
    *(EventKind.STOLEN, EventKind.LOCKED, EventKind.UNLOCKED),
)
"""Kinds of event about which `ledger erase` warns: whoever acted on them will have to show that they were stated."""


def product_checks(settings: Settings, engine: Engine, sealer: Sealer) -> tuple[ExtraCheck, ...]:
    """Give the product's checks, in the order in which a fault is best understood."""
    return (
        accounts.check_statements,
        accounts.organisation_check(sealer),
        accounts.key_check(sealer),
        accounts.right_check(sealer),
        accounts.act_check(sealer),
        access.check_machines,
        webhooks.webhook_check,
        accounts.check_memberships,
        accounts.evidence_check(sealer),
        registry.product_check(sealer),
        registry.batch_check(sealer),
        registry.check_releases,
        registry.signing_check(sealer),
        facts.event_check(registry.subjects_of(sealer)),
        devices.check_devices,
        facts.scan_check(sealer, partial(open_scan_store, settings, engine)),
        facts.signed_scan_check(partial(open_scan_store, settings, engine), settings.code_hosts),
        cosignature_check(load_policy(settings)),
    )


def grave_event(statement: Mapping[str, Any]) -> str:
    """Give the kind of event that a statement makes when goods were stopped or let go by it; empty for any other."""
    event = statement.get("event")
    if not isinstance(event, dict):
        return ""
    said = event.get("bizStep"), event.get("disposition")
    rules = ((kind, EVENT_RULES[kind]) for kind in GRAVE_EVENTS)
    return next((kind.value for kind, rule in rules if (rule.business_step, rule.disposition) == said), "")


def with_product(context: LedgerContext, settings: Settings) -> LedgerContext:
    """Give the commands' context with the product's checks and what erasing means for it."""
    sealer = open_sealer(context.engine, settings)
    return replace(
        context,
        extra_checks=product_checks(settings, context.engine, sealer),
        copies=(facts.EVENT_BODIES,),
        needed=NEEDED_BODIES,
        grave=grave_event,
    )
