"""What a liar might change in the product's tables, and what an audit says of it: statements, code, and where."""

from __future__ import annotations

PLACES = {
    "sale": "(SELECT min(id) FROM events WHERE kind = 'sold')",
    "undo": "(SELECT id FROM events WHERE kind = 'undone')",
    "own": "(SELECT id FROM batches WHERE first_serial = 'OWN000')",
    "large": "(SELECT id FROM batches WHERE quantity = 40)",
    "recalled": "(SELECT batch_id FROM events WHERE kind = 'recalled')",
    "suspended": "status = 'suspended'",
    "revoked": "revoked_index IS NOT NULL",
}
"""What the statements of a tampering speak of."""

TAMPERINGS: dict[str, tuple[tuple[str, ...], str, str]] = {
    "an event taken out": (
        ("DELETE FROM events WHERE id = {sale}",),
        "event.missing",
        "ledger_entries",
    ),
    "an event put in": (
        (
            (
                "INSERT INTO events SELECT 999, 'urn:uuid:new', kind, organisation_id, actor, batch_id, event_time, "
                "record_time, NULL, 9999, body FROM events WHERE id = {sale}"
            ),
        ),
        "event.entry",
        "events with log index 9999",
    ),
    "a body edited": (
        ("UPDATE events SET body = replace(body, 'retail_sold', 'returned') WHERE id = {sale}",),
        "event.body",
        "events urn:uuid",
    ),
    "a body that is no JSON": (("UPDATE events SET body = '[' WHERE id = {sale}",), "event.body", "events urn"),
    "a body emptied": (("UPDATE events SET body = '' WHERE id = {sale}",), "event.body", "events urn:uuid"),
    "an event of another entry": (
        ("UPDATE events SET log_index = 0 WHERE id = {sale}",),
        "event.log_index",
        "events urn:uuid",
    ),
    "an event of another kind": (
        ("UPDATE events SET kind = 'returned' WHERE id = {sale}",),
        "event.entry",
        "events urn:uuid",
    ),
    "an event of a kind that there is not": (
        ("UPDATE events SET kind = 'eaten' WHERE id = {sale}",),
        "event.entry",
        "events urn:uuid",
    ),
    "an event in another name": (
        ("UPDATE events SET organisation_id = 1 WHERE id = {sale}",),
        "event.entry",
        "events urn:uuid",
    ),
    "an event at another time": (
        ("UPDATE events SET event_time = event_time + 1 WHERE id = {sale}",),
        "event.entry",
        "events urn:uuid",
    ),
    "a time that is none": (
        ("UPDATE events SET record_time = 999999999999999999 WHERE id = {sale}",),
        "event.entry",
        "events urn:uuid",
    ),
    "an undo of another event": (
        ("UPDATE events SET undoes = (SELECT event_id FROM events WHERE id = {sale}) WHERE id = {undo}",),
        "event.entry",
        "events urn:uuid",
    ),
    "an event about another unit": (
        ("UPDATE event_units SET unit_id = unit_id + 20 WHERE event = {sale}",),
        "event.goods",
        "events urn:uuid",
    ),
    "a unit left out of an event": (
        ("DELETE FROM event_units WHERE event = {sale}",),
        "event.goods",
        "events urn:uuid",
    ),
    "a recall of another batch": (
        ("UPDATE events SET batch_id = {large} WHERE kind = 'recalled'",),
        "event.goods",
        "events urn:uuid",
    ),
    "a recall taken out of the states": (
        ("UPDATE batch_states SET statuses = 'NOT_ACTIVATED' WHERE batch_id = {recalled}",),
        "state.batch",
        "batch_states",
    ),
    "a sale taken out of the states": (
        ("DELETE FROM unit_states WHERE unit_id = (SELECT min(unit_id) FROM unit_states)",),
        "state.unit",
        "unit_states",
    ),
    "a state of a unit without events": (
        ("UPDATE unit_states SET unit_id = unit_id + 30 WHERE unit_id = (SELECT max(unit_id) FROM unit_states)",),
        "state.unit",
        "unit_states",
    ),
    "a batch with another root": (
        ("UPDATE batches SET root = zeroblob(32) WHERE id = {own}",),
        "batch.root",
        "batches",
    ),
    "a batch without root": (("UPDATE batches SET root = NULL WHERE id = {own}",), "batch.root", "batches"),
    "a larger batch": (("UPDATE batches SET quantity = 21 WHERE id = {own}",), "batch.entry", "batches"),
    "another lot": (("UPDATE batches SET lot = 'L2' WHERE id = {large}",), "batch.entry", "batches"),
    "another expiry": (("UPDATE batches SET expiry = '301231' WHERE id = {large}",), "batch.entry", "batches"),
    "another code key": (("UPDATE batches SET key_id = 1 WHERE id = {large}",), "batch.entry", "batches"),
    "a profile that there is not": (
        ("UPDATE batches SET profile = 'x' WHERE id = {large}",),
        "batch.entry",
        "batches",
    ),
    "another secret": (
        ("UPDATE batches SET sealed_secret = (SELECT sealed_secret FROM batches WHERE id = {own}) WHERE id = {large}",),
        "batch.secret",
        "batches",
    ),
    "a batch taken back": (
        ("UPDATE batches SET log_index = NULL WHERE id = {own}",),
        "batch.missing",
        "ledger_entries",
    ),
    "a batch under another entry": (
        ("UPDATE batches SET log_index = 0 WHERE id = {own}",),
        "batch.entry",
        "batches",
    ),
    "a batch taken out": (("DELETE FROM batches WHERE id = {own}",), "unit.batch", "units OWN000"),
    "a unit taken out": (("DELETE FROM units WHERE serial = 'OWN007'",), "batch.units", "units OWN008"),
    "the last unit taken out": (("DELETE FROM units WHERE serial = 'OWN019'",), "batch.units", "batches"),
    "a unit with another serial": (
        ("UPDATE units SET serial = 'OWN0071' WHERE serial = 'OWN007'",),
        "unit.content",
        "units OWN0071",
    ),
    "a unit put in": (
        ("INSERT INTO units SELECT product_id, 'OWN9', unit_id + 1 FROM units WHERE serial = 'OWN019'",),
        "batch.units",
        "batches",
    ),
    "a unit of no batch": (
        ("INSERT INTO units SELECT product_id, 'FREE', unit_id + (1000 << 24) FROM units WHERE serial = 'OWN019'",),
        "unit.batch",
        "units FREE",
    ),
    "two units that changed places": (
        (
            "UPDATE units SET unit_id = unit_id + 1 WHERE serial = 'OWN003'",
            "UPDATE units SET unit_id = unit_id - 1 WHERE serial = 'OWN004'",
        ),
        "batch.units",
        "units OWN003",
    ),
    "a tile of a batch changed": (
        (
            (
                "UPDATE batch_tiles SET data = (SELECT data FROM batch_tiles WHERE batch_id = {large} AND level = 0 "
                "AND tile_index = 0) WHERE batch_id = {own} AND level = 0 AND tile_index = 0"
            ),
        ),
        "batch.tile",
        "/0/0",
    ),
    "a tile of a batch taken out": (
        ("DELETE FROM batch_tiles WHERE batch_id = {own} AND level = 1",),
        "batch.tile",
        "/1/0",
    ),
    "a product of another name": (("UPDATE products SET name = 'Water' WHERE id = 2",), "product.entry", "products"),
    "a product without its entry": (
        ("UPDATE products SET log_index = NULL WHERE id = 2",),
        "product.missing",
        "ledger_entries",
    ),
    "a suspension taken back": (
        ("UPDATE organisations SET status = 'approved' WHERE {suspended}",),
        "organisation.entry",
        "organisations",
    ),
    "a suspension taken back with its entry": (
        ("UPDATE organisations SET status = 'approved', log_index = log_index - 1 WHERE {suspended}",),
        "organisation.entry",
        "organisations",
    ),
    "an organisation of another name": (
        ("UPDATE organisations SET name = 'Other' WHERE {suspended}",),
        "organisation.entry",
        "organisations",
    ),
    "an organisation under another handle": (
        ("UPDATE organisations SET issuer = 'AAAAAA' WHERE {suspended}",),
        "organisation.missing",
        "ledger_entries",
    ),
    "an approval that nobody gave": (
        ("UPDATE organisations SET status = 'approved', log_index = NULL WHERE {suspended}",),
        "organisation.entry",
        "organisations",
    ),
    "a right given back": (
        ("UPDATE issuing_rights SET status = 'approved' WHERE kind = 'prefix' AND status = 'revoked'",),
        "right.entry",
        "issuing_rights",
    ),
    "a delegation given back": (
        ("UPDATE issuing_rights SET status = 'approved' WHERE kind = 'delegation'",),
        "right.entry",
        "issuing_rights",
    ),
    "a right of another prefix": (
        ("UPDATE issuing_rights SET value = '952' WHERE kind = 'prefix'",),
        "right.entry",
        "issuing_rights",
    ),
    "a right of another firm": (
        ("UPDATE issuing_rights SET organisation_id = 1 WHERE kind = 'prefix'",),
        "right.entry",
        "issuing_rights",
    ),
    "a right taken out": (
        ("DELETE FROM issuing_rights WHERE kind = 'delegation'",),
        "right.missing",
        "ledger_entries",
    ),
    "a key exchanged": (
        ("UPDATE organisation_keys SET public_key = zeroblob(32) WHERE {revoked}",),
        "key.entry",
        "organisation_keys",
    ),
    "a revocation taken back": (
        (
            (
                "UPDATE organisation_keys SET revoked_index = NULL, revoked_from = NULL, revoked_at = NULL, "
                "revocation_reason = NULL WHERE {revoked}"
            ),
        ),
        "key.missing",
        "ledger_entries",
    ),
    "a revocation that counts from later on": (
        ("UPDATE organisation_keys SET revoked_from = revoked_from + 1 WHERE {revoked}",),
        "key.entry",
        "organisation_keys",
    ),
    "a key said to be the firm's": (
        ("UPDATE organisation_keys SET holder = 'firm' WHERE {revoked}",),
        "key.entry",
        "organisation_keys",
    ),
    "a key that is valid for longer": (
        ("UPDATE organisation_keys SET valid_until = valid_until + 1000 WHERE {revoked}",),
        "key.entry",
        "organisation_keys",
    ),
    "a key taken out": (("DELETE FROM organisation_keys WHERE {revoked}",), "key.missing", "ledger_entries"),
    "a commitment to scans taken out": (
        ("DELETE FROM scan_commitments WHERE number = 2",),
        "scans.missing",
        "ledger_entries",
    ),
    "a commitment to other scans": (
        ("UPDATE scan_commitments SET root = zeroblob(32) WHERE number = 1",),
        "scans.entry",
        "scan_commitments 1",
    ),
    "a commitment that ends elsewhere": (
        ("UPDATE scan_commitments SET upto = '[]' WHERE number = 1",),
        "scans.entry",
        "scan_commitments 1",
    ),
    "a commitment without its secret": (
        ("UPDATE scan_secrets SET sealed_secret = zeroblob(60) WHERE context = 'scan commitment 1'",),
        "scans.secret",
        "scan_commitments 1",
    ),
    "a commitment with other marks": (
        ("UPDATE scan_commitments SET marks = zeroblob(16) WHERE number = 1",),
        "scans.marks",
        "scan_commitments 1",
    ),
}
