"""Settings: one typed class, read from the environment in this module only.

Every setting is a field of `Settings`; its environment variable is ``MARCHAMO_`` plus the field's name in capitals.
`marchamo config` prints them with their meaning; secrets are shown as set or not set, never by value.
"""

import base64
import binascii
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

PREFIX = "MARCHAMO_"
SECOND_FACTOR_ROLES = ("platform_administrator", "inspector")
"""Roles that decide in the registry's or an authority's name: a password alone does not open them."""
OTHERS = frozenset({f"{PREFIX}{name}" for name in ("SERVER", "API_KEY", "SHARED_DATA", "STATE")})
"""Variables of the scanner's commands and of the tests, beside the service's own."""


class SettingsError(ValueError):
    """A setting that cannot be used; the message names the variable and says what would be accepted."""


def _setting(default: Any, meaning: str, *, secret: bool = False, holds_password: bool = False) -> Any:
    # A secret stays out of repr, and so out of traces and logs.
    metadata = {"meaning": meaning, "secret": secret, "holds_password": holds_password}
    return field(default=default, repr=not (secret or holds_password), metadata=metadata)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything the service can be told from outside."""

    data_dir: Path = _setting(Path("data"), "folder for the SQLite files, key files and finished label sheets")
    database_url: str = _setting(
        "", "SQLAlchemy address; empty means SQLite in data_dir; postgresql://... for more", holds_password=True
    )
    public_url: str = _setting("http://127.0.0.1:8000", "address under which people reach this service")
    code_url: str = _setting("", "address printed inside codes; empty means public_url; keep it short")
    trusted_hosts: tuple[str, ...] = _setting((), "further hosts whose codes are ours, separated by commas")
    registry_name: str = _setting("Marchamo", "name of this registry in pages and receipts")
    log_origin: str = _setting("", "origin line of the checkpoints (C2SP); empty means host of public_url + /log")
    witness_policy: str = _setting("", "file with the witness policy (C2SP tlog-policy); empty means no witnesses")
    high_water_file: str = _setting(
        "", "file with the ledger's high-water mark, best on another disk; empty means high-water in data_dir"
    )
    host: str = _setting("127.0.0.1", "address the server listens on")
    port: int = _setting(8000, "port the server listens on")
    workers: int = _setting(2, "server processes")
    key_encryption_key: bytes = _setting(b"", "32 bytes as base64; empty means the file kek in data_dir", secret=True)
    kek_file: str = _setting("", "file with the 32 bytes of that key; empty means kek in data_dir")
    kek_uri: str = _setting(
        "",
        "PKCS#11 URI (RFC 7512) of an AES key that unwraps the file's content; needs the extra hsm",
        holds_password=True,
    )
    scan_durability: str = _setting("power", "a recorded scan survives a killed process (kill) or a power cut (power)")
    trust_proxy: bool = _setting(False, "believe X-Forwarded-* of one reverse proxy in front")
    second_person_above: int = _setting(
        100_000, "units of one product in 24 hours that need a second person, unless a firm says otherwise; 0 for never"
    )
    client_certificate_header: str = _setting(
        "", "header in which a trusted proxy hands on the client's certificate (RFC 9440: Client-Cert); empty means off"
    )
    hsts_seconds: int = _setting(0, "seconds for which browsers come by HTTPS only (RFC 6797); 0 for no such promise")
    mail_server: str = _setting(
        "",
        "smtp://, smtp+starttls:// or smtps://[user:password@]host[:port]; empty: into mail in data_dir",
        holds_password=True,
    )
    mail_from: str = _setting("", "sender of messages; empty means registry@ and the host of public_url")
    second_factor_roles: tuple[str, ...] = _setting(
        SECOND_FACTOR_ROLES, "roles that a password alone does not open, separated by commas"
    )
    device_lease_days: int = _setting(30, "days after which a device that was not heard of has to be enrolled again")
    scan_retention_days: int = _setting(730, "days after which scans lose device, address and exact place")
    webhook_private: bool = _setting(False, "allow webhooks to private and loopback addresses: for tests only")
    audit_sample_minutes: int = _setting(10, "minutes between audits of ledger entries drawn by lot; 0 for none")
    audit_since_hours: int = _setting(24, "hours between audits of all that is new in the ledger; 0 for none")
    rate_limits: bool = _setting(True, "limit requests of anonymous callers and sign-in attempts")

    @property
    def effective_database_url(self) -> str:
        """The database address in use."""
        return self.database_url or f"sqlite:///{(self.data_dir / 'marchamo.db').absolute()}"

    @property
    def effective_log_origin(self) -> str:
        """The origin line of the log's checkpoints, without scheme as C2SP tlog-checkpoint asks."""
        return self.log_origin or f"{urlsplit(self.public_url).netloc}/log"

    @property
    def effective_high_water_file(self) -> Path:
        """The file with the high-water mark; it must not go back together with the database."""
        return Path(self.high_water_file) if self.high_water_file else self.data_dir / "high-water"

    @property
    def effective_mail_from(self) -> str:
        """The sender of messages."""
        return self.mail_from or f"{self.registry_name} <registry@{urlsplit(self.public_url).hostname}>"

    @property
    def scans_dir(self) -> Path:
        """Folder of the files that hold scans beside a SQLite database."""
        return self.data_dir / "scans"

    @property
    def code_stem(self) -> str:
        """Upper-case scheme and host printed in codes, so that QR alphanumeric mode applies."""
        return (self.code_url or self.public_url).upper().rstrip("/")

    @property
    def code_hosts(self) -> frozenset[str]:
        """Hosts (lower case, with port) whose codes belong to this registry."""
        own = {urlsplit(self.public_url).netloc, urlsplit(self.code_url or self.public_url).netloc}
        return frozenset(host.lower() for host in own | set(self.trusted_hosts))

    @property
    def served_hosts(self) -> frozenset[str]:
        """Values of a request's Host header that are answered: the hosts of our addresses, without a default port."""
        return frozenset(host.removesuffix(":443").removesuffix(":80") for host in self.code_hosts)

    @property
    def serves_loopback(self) -> bool:
        """Whether requests to this machine's own names are answered too: it is a demo, or a proxy stands beside it."""
        own = {self.host, urlsplit(self.public_url).hostname}
        return any(host is not None and is_loopback(host) for host in own)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> "Settings":
        """Read the settings; raises SettingsError naming the variable that is wrong or unknown."""
        source = os.environ if environment is None else environment
        known = {f"{PREFIX}{setting.name.upper()}": setting.name for setting in fields(cls)}
        values: dict[str, Any] = {}
        for variable, text in source.items():
            if not variable.startswith(PREFIX) or variable in OTHERS:
                continue
            if variable not in known:
                raise SettingsError(f"{variable} is not a setting of Marchamo; `marchamo config` lists them")
            values[known[variable]] = _parse(known[variable], variable, text)
        return cls(**values)

    def __post_init__(self) -> None:
        for name in ("public_url", "code_url"):
            address = getattr(self, name)
            parts = urlsplit(address)
            if address and (parts.scheme not in ("http", "https") or not parts.netloc or parts.path not in ("", "/")):
                variable = f"{PREFIX}{name.upper()}"
                raise SettingsError(f"{variable} must be http(s)://host[:port] with no path, not {address!r}")
        if self.database_url and not self.database_url.startswith(
            ("sqlite:///", "postgresql://", "postgresql+psycopg://")
        ):
            # The address is not repeated: it may hold a password.
            raise SettingsError(f"{PREFIX}DATABASE_URL must start with sqlite:/// or postgresql://")
        if self.scan_durability not in ("kill", "power"):
            raise SettingsError(f"{PREFIX}SCAN_DURABILITY must be kill or power, not {self.scan_durability!r}")
        if self.key_encryption_key and len(self.key_encryption_key) != 32:
            raise SettingsError(f"{PREFIX}KEY_ENCRYPTION_KEY must be 32 bytes in base64")
        if not 1 <= self.workers <= 256:
            raise SettingsError(f"{PREFIX}WORKERS must lie between 1 and 256")
        if self.mail_server and urlsplit(self.mail_server).scheme not in ("smtp", "smtp+starttls", "smtps"):
            # The address is not repeated: it may hold a password.
            raise SettingsError(f"{PREFIX}MAIL_SERVER must start with smtp://, smtp+starttls:// or smtps://")
        _check_certificate_header(self)
        if self.second_factor_roles != SECOND_FACTOR_ROLES:
            _check_roles(self.second_factor_roles)
        for name in ("audit_sample_minutes", "audit_since_hours"):
            if not 0 <= getattr(self, name) <= 10_000:
                raise SettingsError(f"{PREFIX}{name.upper()} must lie between 0 and 10,000")


def relax_for_demonstration() -> bool:
    """Let a password alone open every role, for this process and its children, unless the environment says otherwise.

    True when it was relaxed: whoever tries the registry out has no telephone at hand for the registry's own desk.
    """
    variable = f"{PREFIX}SECOND_FACTOR_ROLES"
    if variable in os.environ:
        return False
    os.environ[variable] = ""
    return True


def _check_roles(roles: tuple[str, ...]) -> None:
    from app.core.authorisation import Role  # noqa: PLC0415  brings the web framework, which most commands never need

    unknown = set(roles) - {role.value for role in Role}
    if unknown:
        # A word that is no role would ask nobody for anything.
        raise SettingsError(f"{PREFIX}SECOND_FACTOR_ROLES names no role of ours: {', '.join(sorted(unknown))}")


def is_loopback(host: str) -> bool:
    """Whether a host name without port means the machine itself."""
    return host.lower() in ("localhost", "127.0.0.1", "::1", "[::1]")


def _check_certificate_header(settings: Settings) -> None:
    if not settings.client_certificate_header:
        return
    if not settings.trust_proxy:
        # Without a proxy that strips it, anybody could send the header.
        raise SettingsError(f"{PREFIX}CLIENT_CERTIFICATE_HEADER needs {PREFIX}TRUST_PROXY")
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9-]{0,63}", settings.client_certificate_header):
        raise SettingsError(f"{PREFIX}CLIENT_CERTIFICATE_HEADER must be a header's name, such as Client-Cert")


def _parse(name: str, variable: str, text: str) -> Any:
    default = next(setting.default for setting in fields(Settings) if setting.name == name)
    try:
        if isinstance(default, bool):
            return {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}[text.lower()]
        if isinstance(default, int):
            return int(text)
        if isinstance(default, Path):
            return Path(text)
        if isinstance(default, tuple):
            return tuple(part.strip() for part in text.split(",") if part.strip())
        if isinstance(default, bytes):
            return base64.b64decode(text, validate=True)
    except (KeyError, ValueError, binascii.Error) as error:
        kind = type(default).__name__
        # The text is not repeated: it may be a secret.
        raise SettingsError(f"{variable} cannot be read as {kind}") from error
    return text


def describe(settings: Settings) -> list[tuple[str, str, str]]:
    """Rows of (environment variable, value in use, meaning); secrets only as set or not set."""
    rows = []
    for setting in fields(settings):
        value = getattr(settings, setting.name)
        if setting.metadata["secret"]:
            shown = "set" if value else "not set"
        elif setting.metadata["holds_password"]:
            shown = _without_password(value)
        else:
            shown = ",".join(value) if isinstance(value, tuple) else str(value)
            shown = {"True": "yes", "False": "no"}.get(shown, shown)
        rows.append((f"{PREFIX}{setting.name.upper()}", shown, setting.metadata["meaning"]))
    return rows


def _without_password(address: str) -> str:
    """The address with stars for its password, and for its query, where drivers take one too."""
    if address.startswith("pkcs11:"):  # no authority (RFC 7512): the PIN, or where it lies, is in the query
        plain, asked, _ = address.partition("?")
        return f"{plain}{asked and '?***'}"
    start, _, rest = address.partition("://")
    plain, asked, _ = rest.partition("?")
    user_info, at, host = plain.rpartition("@")
    user, colon, _ = user_info.partition(":")
    return f"{start}://{user}{colon and ':***'}{at}{host}{asked and '?***'}" if rest else address
