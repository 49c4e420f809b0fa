"""Keys of organisations: registered, replaced and revoked on the ledger; held by the service, sealed, or by the firm.

A key counts from the ledger position of its registration to that from which it is revoked: what matters is where a
batch stands, never the date of a scan.
"""

from app.accounts.service.keys.firm_held import KeyRegistration, begin_registration, register_firm_key
from app.accounts.service.keys.listing import (
    ClearEntry,
    KeyHistory,
    find_key,
    key_history,
    list_all_keys,
    list_keys,
    taken_over_at,
)
from app.accounts.service.keys.public import forget_public_keys, public_code_key
from app.accounts.service.keys.revoking import check_from_index, revoke_key
from app.accounts.service.keys.service_held import issue_missing_keys, rotate_key
from app.accounts.service.keys.using import (
    code_key_by_id,
    code_key_in_use,
    has_code_key,
    refuse_revoked_signer,
    refuse_unusable_key,
    statement_signer,
)

__all__ = [
    "ClearEntry",
    "KeyHistory",
    "KeyRegistration",
    "begin_registration",
    "check_from_index",
    "code_key_by_id",
    "code_key_in_use",
    "find_key",
    "forget_public_keys",
    "has_code_key",
    "issue_missing_keys",
    "key_history",
    "list_all_keys",
    "list_keys",
    "public_code_key",
    "refuse_revoked_signer",
    "refuse_unusable_key",
    "register_firm_key",
    "revoke_key",
    "rotate_key",
    "statement_signer",
    "taken_over_at",
]
