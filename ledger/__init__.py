"""An append-only, hash-chained transparency log that anybody can check from outside.

The trust core: it knows nothing of products or web pages and could be published alone. `ledger.log.Log` is the door
for whoever writes; `merkle`, `tiles`, `note`, `checkpoint`, `leaf`, `statement` and `proof` are pure and enough to
verify.
"""
