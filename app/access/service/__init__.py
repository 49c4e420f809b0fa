"""Use cases of access: what other features, routes, pages and commands call."""

from app.access.auditing import check_machines
from app.access.service.api_keys import create_api_key, list_api_keys, revoke_api_key, rotate_api_key
from app.access.service.client_certificates import list_certificates, register_certificate, revoke_certificate
from app.access.service.code_apps import begin_code_app, confirm_code_app, pending_code_app, remove_code_app
from app.access.service.factors import Factors, factors_of, make_recovery_codes
from app.access.service.history import AccountEvent, SecurityEvent, list_events
from app.access.service.makers import person_behind
from app.access.service.oauth_clients import (
    create_oauth_client,
    list_oauth_clients,
    registered_client,
    revoke_oauth_client,
)
from app.access.service.passkey_challenges import Challenge
from app.access.service.passkey_uses import (
    ask_to_confirm,
    ask_to_finish,
    ask_to_sign_in,
    confirm_with_passkey,
    finish_with_passkey,
    sign_in_with_passkey,
)
from app.access.service.passkeys import Passkey, add_passkey, ask_for_new_passkey, list_passkeys, remove_passkey
from app.access.service.recovery import ask_for_recovery, check_recovery_link, recover
from app.access.service.resets import (
    AnnouncedReset,
    FactorReset,
    check_reset_link,
    list_resets,
    refuse_reset,
    request_factor_reset,
    waiting_reset,
    withdraw_reset,
)
from app.access.service.sessions import (
    BrowserSession,
    end_other_sessions,
    end_session,
    list_sessions,
    sign_out,
    start_session_for,
    switch_organisation,
)
from app.access.service.signing_in import (
    FactorOwed,
    SecondStep,
    SignedIn,
    change_password,
    confirm_with_password,
    finish_with_code,
    second_step,
    sign_in,
)
from app.access.values import ApiKey, CertificateRecord, ClientRecord
from app.access.visitors import Visitor

__all__ = [
    "AccountEvent",
    "AnnouncedReset",
    "ApiKey",
    "BrowserSession",
    "CertificateRecord",
    "Challenge",
    "ClientRecord",
    "FactorOwed",
    "FactorReset",
    "Factors",
    "Passkey",
    "SecondStep",
    "SecurityEvent",
    "SignedIn",
    "Visitor",
    "add_passkey",
    "ask_for_new_passkey",
    "ask_for_recovery",
    "ask_to_confirm",
    "ask_to_finish",
    "ask_to_sign_in",
    "begin_code_app",
    "change_password",
    "check_machines",
    "check_recovery_link",
    "check_reset_link",
    "confirm_code_app",
    "confirm_with_passkey",
    "confirm_with_password",
    "create_api_key",
    "create_oauth_client",
    "end_other_sessions",
    "end_session",
    "factors_of",
    "finish_with_code",
    "finish_with_passkey",
    "list_api_keys",
    "list_certificates",
    "list_events",
    "list_oauth_clients",
    "list_passkeys",
    "list_resets",
    "list_sessions",
    "make_recovery_codes",
    "pending_code_app",
    "person_behind",
    "recover",
    "refuse_reset",
    "register_certificate",
    "registered_client",
    "remove_code_app",
    "remove_passkey",
    "request_factor_reset",
    "revoke_api_key",
    "revoke_certificate",
    "revoke_oauth_client",
    "rotate_api_key",
    "second_step",
    "sign_in",
    "sign_in_with_passkey",
    "sign_out",
    "start_session_for",
    "switch_organisation",
    "waiting_reset",
    "withdraw_reset",
]
