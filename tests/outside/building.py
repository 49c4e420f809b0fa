"""Build the outside judges from their sources; without their compiler or their packages the tests skip by name."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

DEBIAN_GOPATH = Path("/usr/share/gocode")
_OFFLINE = ("dial tcp", "GOPROXY=off", "no such host", "module lookup disabled", "resolve host", "failed to download")


def skip_when_offline(complaint: str) -> None:
    """Skip when a compiler complains that it cannot fetch the packages it needs."""
    if any(sign in complaint for sign in _OFFLINE):
        pytest.skip("the packages of this judge are not on this machine and cannot be downloaded")


def build_go(source: Path, binary: Path) -> Path:
    """Build the Go program in this folder, with Debian's golang-golang-x-mod-dev where that is installed."""
    packaged = (DEBIAN_GOPATH / "src/golang.org/x/mod/sumdb").is_dir()
    environment = os.environ | ({"GO111MODULE": "off", "GOPATH": str(DEBIAN_GOPATH)} if packaged else {})
    _build(["go", "build", "-o", str(binary), "."], source, environment)
    return binary


def build_rust(source: Path, folder: Path) -> Path:
    """Build a copy of the Rust program in this folder, so that what cargo writes does not lie in the repository."""
    shutil.copytree(source, folder, dirs_exist_ok=True)
    _build(["cargo", "build", "--quiet"], folder, os.environ)
    return folder / "target/debug/audit"


def _build(command: list[str], folder: Path, environment: Mapping[str, str]) -> None:
    built = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=400, check=False
    )
    if built.returncode:
        skip_when_offline(built.stderr)
    assert built.returncode == 0, built.stderr
