"""Key files: encrypted so that other programs read them too, never overwritten, and refused when they are not sound."""

from __future__ import annotations

import re
import shutil
import stat
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ledger.strict import decode_base64
from scanners.key_files import (
    ROUNDS,
    CodeKeyPair,
    KeyFileError,
    PassphraseNeeded,
    encrypted_pem,
    new_key,
    read_key,
    write_key,
)

PASSPHRASE = "correcta caballo batería grapa"


def test_a_key_comes_back_out_of_its_file_with_its_passphrase_only(tmp_path: Path) -> None:
    key, path = new_key(), tmp_path / "key.pem"
    write_key(path, key, PASSPHRASE)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert read_key(path, PASSPHRASE).public_key == key.public_key
    with pytest.raises(KeyFileError, match="passphrase is wrong"):
        read_key(path, "another passphrase")
    with pytest.raises(PassphraseNeeded):
        read_key(path, None)
    assert key.private_key.private_bytes_raw() not in decode_base64("".join(path.read_text().splitlines()[1:-1]))


def test_a_file_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    write_key(path, new_key(), PASSPHRASE)
    before = path.read_bytes()
    with pytest.raises(KeyFileError, match="never overwritten"):
        write_key(path, new_key(), PASSPHRASE)
    assert path.read_bytes() == before


def test_a_short_passphrase_writes_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError):
        write_key(tmp_path / "key.pem", new_key(), "short")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs the openssl command")
def test_openssl_reads_what_is_written_and_we_read_what_openssl_writes(tmp_path: Path) -> None:
    key, path, secret = new_key(), tmp_path / "key.pem", tmp_path / "passphrase"
    secret.write_text(PASSPHRASE)
    write_key(path, key, PASSPHRASE)
    read = subprocess.run(
        ["openssl", "pkey", "-in", path, "-passin", f"file:{secret}", "-text", "-noout"],
        capture_output=True,
        check=True,
        text=True,
    )
    digits = "".join(re.findall(r"[0-9a-f]{2}", read.stdout.partition("pub:")[2]))
    assert digits == key.public_key.hex()
    other = tmp_path / "theirs.pem"
    subprocess.run(
        ["openssl", "genpkey", "-algorithm", "ed25519", "-aes256", "-pass", f"file:{secret}", "-out", other],
        capture_output=True,
        check=True,
    )
    assert len(read_key(other, PASSPHRASE).public_key) == 32


def test_the_rounds_of_the_key_derivation_stand_in_the_file() -> None:
    der = decode_base64("".join(encrypted_pem(new_key(), PASSPHRASE).decode().splitlines()[1:-1]))
    assert ROUNDS.to_bytes(3, "big") in der
    assert ROUNDS >= 600_000


def test_an_existing_key_that_is_not_encrypted_is_taken_when_nobody_else_can_read_it(tmp_path: Path) -> None:
    key, path = CodeKeyPair(Ed25519PrivateKey.generate()), tmp_path / "own.pem"
    path.write_bytes(
        key.private_key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    path.chmod(0o644)
    with pytest.raises(KeyFileError, match="others can read it"):
        read_key(path, None)
    path.chmod(0o600)
    assert read_key(path, None).public_key == key.public_key


@pytest.mark.parametrize(
    "content", [b"", b"not a key", b"-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n", b"\0" * 70_000]
)
def test_what_is_no_key_is_refused_with_a_sentence(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "key.pem"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(KeyFileError, match="cannot be opened"):
        read_key(path, PASSPHRASE)


def test_a_key_of_another_kind_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    path.write_bytes(
        generate_private_key(SECP256R1()).private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    path.chmod(0o600)
    with pytest.raises(KeyFileError, match="Ed25519"):
        read_key(path, None)
    with pytest.raises(KeyFileError, match="cannot be read"):
        read_key(tmp_path / "none.pem", None)
