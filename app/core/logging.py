"""Structured logs: one JSON object a line on standard error, with event, level, time and fields; never a secret."""

import logging
import re
import sys
from collections.abc import Mapping
from typing import Any

import structlog

SECRET_NAMES = ("password", "secret", "token", "authorization", "cookie", "signature_key", "private", "credential")
"""A field is hidden whose name holds one of these words."""
SECRET_FIELDS = frozenset({"key", "api_key", "code", "codes", "otp", "pin", "email", "body", "url"})
"""Fields that are hidden by their whole name; `code` is shown where it is a word of ours."""
HIDDEN = "[hidden]"

# What a secret of ours, a header or an address with a password looks like inside a longer text, such as a trace.
_SECRETS = re.compile(
    r"\b(?:mch_|mct_|whsec_)[A-Za-z0-9+/=_-]{8,}"
    r"|\beyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]*\.?[A-Za-z0-9_-]*"
    r"|(?<=Bearer )[^\s'\"]+|(?<=Basic )[^\s'\"]+"
    r"|(?<=://)[^/\s:@]*:[^/\s@]+(?=@)"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)"
)
_WORD = re.compile(r"[a-z][a-z0-9_.]{0,39}")


def hide_secrets(_logger: object, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Hide what by its name or its look is a secret: the last step before an event is written."""
    return {name: value if name == "event" else _shown(name, value) for name, value in event.items()} | {
        "event": _without_secrets(str(event.get("event", "")))
    }


def _shown(name: str, value: Any) -> Any:
    lower = name.lower()
    if lower in SECRET_FIELDS and not (lower == "code" and isinstance(value, str) and _WORD.fullmatch(value)):
        return HIDDEN
    if any(word in lower for word in SECRET_NAMES) and not isinstance(value, bool | int):
        return HIDDEN
    if isinstance(value, str):
        return _without_secrets(value)
    if isinstance(value, Mapping):
        return {str(key): _shown(str(key), one) for key, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_shown("", one) for one in value]
    return value


def _without_secrets(text: str) -> str:
    return _SECRETS.sub(HIDDEN, text)


def configure(level: int = logging.INFO) -> None:
    """Set structlog up once for the process; what is below `level` is not written."""
    if structlog.is_configured():
        return
    # Libraries that report on their own (a mail client, an HTTP client) show what they send: no more than warnings.
    logging.getLogger().setLevel(max(level, logging.WARNING))
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            hide_secrets,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
