"""Secrets at rest: sealed for one purpose, opened by one key, refused after any change."""

import os
import stat
import threading
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import given
from hypothesis import strategies as st

from app.core.config import Settings
from app.core.sealing import KEY_SIZE, Sealer, SealError, load_key_encryption_key, write_new_file

KEY = bytes(range(KEY_SIZE))


@given(st.binary(max_size=300), st.text(max_size=30))
def test_what_was_sealed_opens_in_its_context(plain: bytes, context: str) -> None:
    sealer = Sealer(KEY)
    sealed = sealer.seal(plain, context)
    assert sealer.open(sealed, context) == plain
    assert sealer.seal(plain, context) != sealed  # a fresh nonce each time
    with pytest.raises(SealError):
        sealer.open(sealed, context + "x")


@given(st.data())
def test_any_flipped_bit_is_refused(data: st.DataObject) -> None:
    sealer = Sealer(KEY)
    sealed = bytearray(sealer.seal(b"secret", "test"))
    position = data.draw(st.integers(0, len(sealed) * 8 - 1))
    sealed[position // 8] ^= 1 << position % 8
    with pytest.raises(SealError):
        sealer.open(bytes(sealed), "test")


@pytest.mark.parametrize("sealed", [b"", b"\x01", b"\x01" + bytes(12), b"\x02" + bytes(40)])
def test_what_was_never_sealed_is_refused(sealed: bytes) -> None:
    with pytest.raises(SealError):
        Sealer(KEY).open(sealed, "test")


def test_derived_keys_differ_by_purpose_and_by_key() -> None:
    derived = {Sealer(key).derive(purpose) for key in (KEY, bytes(KEY_SIZE)) for purpose in ("one", "two")}
    assert len(derived) == 4
    assert Sealer(KEY).derive("one") == Sealer(KEY).derive("one")


def test_a_key_of_another_length_is_refused() -> None:
    with pytest.raises(SealError):
        Sealer(KEY[:-1])


def test_the_key_file_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "data")
    first = load_key_encryption_key(settings)
    assert len(first) == KEY_SIZE
    assert load_key_encryption_key(settings) == first
    assert stat.S_IMODE((tmp_path / "data" / "kek").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["kek"]


def test_processes_that_start_together_agree_on_one_key(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    keys: list[bytes] = []
    threads = [threading.Thread(target=lambda: keys.append(load_key_encryption_key(settings))) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(keys) == 16
    assert len(set(keys)) == 1


def test_a_damaged_key_file_is_refused_and_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "kek").write_bytes(b"half")
    with pytest.raises(SealError):
        load_key_encryption_key(Settings(data_dir=tmp_path))
    assert (tmp_path / "kek").read_bytes() == b"half"


def test_the_environments_key_comes_first(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, key_encryption_key=KEY)
    assert load_key_encryption_key(settings) == KEY
    assert not (tmp_path / "kek").exists()


def test_derived_keys_are_those_of_hkdf_over_the_first_key_and_stay_when_the_key_changes() -> None:
    first = Sealer(KEY)
    expected = HKDF(algorithm=hashes.SHA256(), length=KEY_SIZE, salt=None, info=b"test").derive(KEY)
    assert first.derive("test") == expected
    assert Sealer(bytes(KEY_SIZE), first.derivation_root).derive("test") == expected


def test_a_key_file_that_was_named_is_never_made(tmp_path: Path) -> None:
    with pytest.raises(SealError, match="is not there"):
        load_key_encryption_key(Settings(data_dir=tmp_path, kek_file=str(tmp_path / "disk" / "kek")))


def test_two_sources_of_the_key_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SealError, match="one of them must go"):
        load_key_encryption_key(Settings(data_dir=tmp_path, key_encryption_key=KEY, kek_uri="pkcs11:token=a"))


def test_the_name_of_a_new_key_file_is_on_disk_before_anything_is_sealed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        synced.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    write_new_file(tmp_path / "kek", bytes(KEY_SIZE))
    assert synced == ["file", "folder"]
