"""The one error base of the service, and its two faces: problem+json (RFC 9457) and a sentence on a page."""

from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from flask_babel import gettext

from app.core.i18n import one_full_stop


@dataclass(frozen=True, slots=True)
class FieldFault:
    """One thing wrong in the input: where it is (JSON pointer or ``row 7, column serial``), and what is wrong."""

    where: str
    message: str
    code: str = "invalid"


class AppError(Exception):
    """A refusal that a caller can understand and act on.

    `code` is stable and machine-readable; `message` is an English sentence that is also the translation key, with
    named ``%(parameter)s`` filled from `parameters`; `fix` says what to do, when there is something to do.
    """

    code = "error"
    status = HTTPStatus.BAD_REQUEST

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        fix: str | None = None,
        faults: tuple[FieldFault, ...] = (),
        **parameters: object,
    ) -> None:
        super().__init__(message % parameters if parameters else message)
        self.template = message
        self.parameters = parameters
        self.fix = fix
        self.faults = faults
        if code is not None:
            self.code = code

    def sentence(self) -> str:
        """The message in the reader's language (needs a request context for another language than English)."""
        return one_full_stop(str(gettext(self.template, **self.parameters)))

    def problem(self) -> dict[str, Any]:
        """The RFC 9457 problem details object."""
        body: dict[str, Any] = {
            "type": f"urn:marchamo:problem:{self.code}",
            "title": self.status.phrase,
            "status": int(self.status),
            "code": self.code,
            "detail": str(self),
        }
        if self.fix:
            body["fix"] = self.fix
        if self.faults:
            body["errors"] = [
                {"where": fault.where, "code": fault.code, "message": fault.message} for fault in self.faults
            ]
        return body


class Invalid(AppError):
    """The input does not have the required shape or value."""

    code = "invalid"
    status = HTTPStatus.UNPROCESSABLE_ENTITY


class Malformed(AppError):
    """The input can not even be read as what it claims to be."""

    code = "malformed"
    status = HTTPStatus.BAD_REQUEST


class NotSignedIn(AppError):
    """The caller is not known."""

    code = "not_signed_in"
    status = HTTPStatus.UNAUTHORIZED

    def __init__(self, message: str = "Sign in, or send an API key.", **keywords: Any) -> None:
        super().__init__(message, **keywords)


class Forbidden(AppError):
    """The caller is known and may not do this."""

    code = "forbidden"
    status = HTTPStatus.FORBIDDEN

    def __init__(self, message: str = "Your role does not allow this.", **keywords: Any) -> None:
        super().__init__(message, **keywords)


class NotFound(AppError):
    """There is no such thing, or it is not the caller's to see; the two look the same."""

    code = "not_found"
    status = HTTPStatus.NOT_FOUND

    def __init__(self, message: str = "There is no such record.", **keywords: Any) -> None:
        super().__init__(message, **keywords)


class Conflict(AppError):
    """The input contradicts what is recorded already."""

    code = "conflict"
    status = HTTPStatus.CONFLICT


class TooLarge(AppError):
    """The input exceeds a stated bound."""

    code = "too_large"
    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE


class TooMany(AppError):
    """The caller asks more often than its allowance."""

    code = "too_many_requests"
    status = HTTPStatus.TOO_MANY_REQUESTS

    def __init__(self, message: str, *, retry_after: int, **keywords: Any) -> None:
        """retry_after: seconds after which it is worth to try again."""
        super().__init__(message, **keywords)
        self.retry_after = retry_after


@dataclass(slots=True)
class Faults:
    """Collects faults so that all of them are reported at once."""

    items: list[FieldFault] = field(default_factory=list)

    def add(self, where: str, message: str, code: str = "invalid") -> None:
        """Note one fault."""
        self.items.append(FieldFault(where, message, code))

    def refuse_if_any(self, message: str) -> None:
        """Raise Invalid with every fault noted so far."""
        if self.items:
            raise Invalid(message, faults=tuple(self.items))
