"""The key-encryption key wrapped by a key that never leaves a PKCS#11 module (an HSM, a smart card, SoftHSM).

The module is named by a URI (RFC 7512), for instance
``pkcs11:token=registry;object=kek?module-path=/usr/lib/softhsm/libsofthsm2.so&pin-source=file:/etc/marchamo/pin``.
Its AES key encrypts the 32 bytes with AES-GCM; the file holds ``marchamo-kek-1``, a newline, a 12 byte nonce,
ciphertext and tag. The key is unwrapped once, when a process starts: what is sealed is opened
without asking the module again.
"""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, unquote_to_bytes

from app.core.sealing import KEY_SIZE, WRAPPED, SealError

if TYPE_CHECKING:
    import pkcs11

_NONCE_SIZE = 12
_TAG_BITS = 128
_FILE_SIZE = len(WRAPPED) + _NONCE_SIZE + KEY_SIZE + _TAG_BITS // 8
_CONTEXT = b"marchamo key-encryption key"
_MAX_PIN_FILE = 1_000
_PATH = frozenset({"token", "serial", "object", "id", "type"})
_QUERY = frozenset({"module-path", "pin-source", "pin-value"})


@dataclass(frozen=True, slots=True)
class ModuleKey:
    """An AES key in a module. The token is told by label or serial number, the key by label or id."""

    module_path: str
    token: str | None
    serial: str | None
    label: str | None
    key_id: bytes | None
    pin: str = field(repr=False)

    @property
    def name(self) -> str:
        """What to call it to people."""
        return f"key {self.label or (self.key_id or b'').hex()} in token {self.token or self.serial}"


def parse_uri(uri: str) -> ModuleKey:
    """Read a PKCS#11 URI and the PIN that it points to; raises SealError. Attributes not named here are refused."""
    scheme, colon, rest = uri.partition(":")
    if scheme != "pkcs11" or not colon:
        raise SealError("MARCHAMO_KEK_URI must begin with pkcs11: (RFC 7512)")
    path, _, query = rest.partition("?")
    here, asked = _attributes(path, ";", _PATH), _attributes(query, "&", _QUERY)
    if "module-path" not in asked:
        raise SealError("MARCHAMO_KEK_URI needs module-path=, the PKCS#11 library of the module")
    if not here.keys() & {"token", "serial"} or not here.keys() & {"object", "id"}:
        raise SealError("MARCHAMO_KEK_URI needs token= or serial=, and object= or id=")
    if here.get("type", "secret-key") != "secret-key":
        raise SealError("MARCHAMO_KEK_URI must name a secret-key")
    return ModuleKey(
        module_path=unquote(asked["module-path"]),
        token=unquote(here["token"]) if "token" in here else None,
        serial=unquote(here["serial"]) if "serial" in here else None,
        label=unquote(here["object"]) if "object" in here else None,
        key_id=unquote_to_bytes(here["id"]) if "id" in here else None,
        pin=_pin(asked),
    )


def wrap_key(uri: str, key: bytes) -> bytes:
    """Give the file's content for a key-encryption key; raises SealError."""
    from pkcs11 import GCMParams, Mechanism  # noqa: PLC0415  of the extra hsm

    if len(key) != KEY_SIZE:
        raise SealError(f"the key-encryption key must have {KEY_SIZE} bytes")
    nonce = secrets.token_bytes(_NONCE_SIZE)
    with _module_key(parse_uri(uri)) as wrapping:
        parameters = GCMParams(nonce, _CONTEXT, _TAG_BITS)
        sealed: bytes = wrapping.encrypt(key, mechanism=Mechanism.AES_GCM, mechanism_param=parameters)
    return WRAPPED + nonce + sealed


def unwrap_key(uri: str, content: bytes) -> bytes:
    """Give the key-encryption key from the file's content; raises SealError."""
    if not content.startswith(WRAPPED) or len(content) != _FILE_SIZE:
        raise SealError("the file does not hold a wrapped key: `marchamo kek wrap` makes it from the key in use")
    nonce, sealed = content[len(WRAPPED) :][:_NONCE_SIZE], content[len(WRAPPED) + _NONCE_SIZE :]
    where = parse_uri(uri)
    with _module_key(where) as wrapping:
        from pkcs11 import GCMParams, Mechanism, PKCS11Error  # noqa: PLC0415  of the extra hsm

        parameters = GCMParams(nonce, _CONTEXT, _TAG_BITS)
        try:
            key: bytes = wrapping.decrypt(sealed, mechanism=Mechanism.AES_GCM, mechanism_param=parameters)
        except PKCS11Error:
            # Modules tell another key and damage apart by no common error.
            raise SealError(f"{where.name} does not open the file: it was wrapped by another key, or damaged") from None
    return key


def make_module_key(uri: str) -> None:
    """Make the AES-256 key that the URI names; the module never gives it out. Raises SealError where there is one."""
    from pkcs11 import Attribute, KeyType, MechanismFlag  # noqa: PLC0415  of the extra hsm

    where = parse_uri(uri)
    with _session(where, writing=True) as session:
        if list(session.get_objects(_template(where))):
            raise SealError(f"there is a {where.name} already")
        session.generate_key(
            KeyType.AES,
            KEY_SIZE * 8,
            label=where.label,
            id=where.key_id,
            store=True,
            capabilities=MechanismFlag.ENCRYPT | MechanismFlag.DECRYPT,
            template={Attribute.SENSITIVE: True, Attribute.EXTRACTABLE: False},
        )


@contextmanager
def _module_key(where: ModuleKey) -> Iterator[Any]:
    with _session(where) as session:
        found = list(session.get_objects(_template(where)))
        if len(found) != 1:
            many = "several keys of that name" if found else "no such AES key"
            raise SealError(f"{where.name}: there is {many}; `marchamo kek wrap --make-key` makes one")
        yield found[0]  # what it can do, the library's types do not say


def _template(where: ModuleKey) -> dict["pkcs11.Attribute", object]:
    from pkcs11 import Attribute, KeyType, ObjectClass  # noqa: PLC0415  of the extra hsm

    asked: dict[pkcs11.Attribute, object] = {
        Attribute.CLASS: ObjectClass.SECRET_KEY,
        Attribute.KEY_TYPE: KeyType.AES,
    }
    if where.label is not None:
        asked[Attribute.LABEL] = where.label
    if where.key_id is not None:
        asked[Attribute.ID] = where.key_id
    return asked


@contextmanager
def _session(where: ModuleKey, *, writing: bool = False) -> Iterator["pkcs11.Session"]:
    """A session of the module's user; every refusal of the module is one sentence."""
    try:
        import pkcs11  # noqa: PLC0415  of the extra hsm
        from pkcs11 import exceptions  # noqa: PLC0415
    except ImportError:
        raise SealError("MARCHAMO_KEK_URI needs the extra hsm: pip install 'marchamo[hsm]'") from None
    try:
        library = pkcs11.lib(where.module_path)
        serial = None if where.serial is None else where.serial.encode()
        token = library.get_token(token_label=where.token, token_serial=serial)
        with token.open(rw=writing, user_pin=where.pin) as session:
            yield session
    except exceptions.PinIncorrect:
        raise SealError(f"token {where.token or where.serial} refuses the PIN") from None
    except exceptions.PinLocked:
        raise SealError(f"the PIN of token {where.token or where.serial} is locked after too many wrong ones") from None
    except (exceptions.NoSuchToken, exceptions.TokenNotPresent):
        raise SealError(f"there is no token {where.token or where.serial} in {where.module_path}") from None
    except (exceptions.PKCS11Error, RuntimeError, OSError) as error:
        name = type(error).__name__
        raise SealError(f"the PKCS#11 module {where.module_path} can not be used: {str(error) or name}") from None


def _attributes(text: str, separator: str, known: frozenset[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for part in text.split(separator) if text else []:
        name, equals, value = part.partition("=")
        if not equals or name not in known or name in found:
            # The value is not repeated: it may be a PIN.
            raise SealError(f"MARCHAMO_KEK_URI: the attribute {name!r} is unknown, empty or there twice")
        found[name] = value
    return found


def _pin(asked: dict[str, str]) -> str:
    if ("pin-source" in asked) == ("pin-value" in asked):
        raise SealError("MARCHAMO_KEK_URI needs pin-source=file:PATH (or pin-value=), one of them")
    if "pin-value" in asked:
        return unquote(asked["pin-value"])
    source = unquote(asked["pin-source"])
    path = Path(source.removeprefix("file://").removeprefix("file:"))
    try:
        with path.open("rb") as file:
            pin = file.read(_MAX_PIN_FILE)
    except OSError as error:
        raise SealError(f"the PIN file {path} can not be read: {error.strerror}") from None
    return pin.decode("utf-8", "replace").rstrip("\r\n")
