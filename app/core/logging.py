"""Structured logs: one JSON object a line on standard error, with event, level, time and fields; never a secret."""

import logging
import sys

import structlog

SECRET_FIELDS = frozenset({"password", "key", "api_key", "token", "secret", "authorization", "cookie"})


def _hide_secrets(_logger: object, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    for name in event:
        if name.lower() in SECRET_FIELDS:
            event[name] = "[hidden]"
    return event


def configure(level: int = logging.INFO) -> None:
    """Set structlog up once for the process; what is below `level` is not written."""
    if structlog.is_configured():
        return
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _hide_secrets,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
