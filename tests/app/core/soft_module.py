"""A PKCS#11 module in software (SoftHSM), with a token of its own for each test."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

LIBRARIES = (
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/local/lib/softhsm/libsofthsm2.so",
    "/opt/homebrew/lib/softhsm/libsofthsm2.so",
)
PIN = "4711-pin"


@dataclass(frozen=True)
class SoftModule:
    """One token. A process reads the module's configuration once: every test needs a process of its own."""

    library: str
    token: str
    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        return {"SOFTHSM2_CONF": str(self.folder / "softhsm2.conf")}

    def uri(self, label: str = "kek", *, token: str | None = None, pin_file: str = "pin") -> str:
        return (
            f"pkcs11:token={token or self.token};object={label};type=secret-key"
            f"?module-path={self.library}&pin-source=file:{self.folder / pin_file}"
        )


def make_module(folder: Path) -> SoftModule:
    """A fresh token; skips the test where SoftHSM or the extra hsm is not installed."""
    pytest.importorskip("pkcs11", reason="the extra hsm (python-pkcs11) is not installed")
    library = next((path for path in LIBRARIES if Path(path).exists()), None)
    if library is None or shutil.which("softhsm2-util") is None:
        pytest.skip("SoftHSM (softhsm2) is not installed")
    (folder / "tokens").mkdir()
    (folder / "softhsm2.conf").write_text(f"directories.tokendir = {folder / 'tokens'}\nlog.level = ERROR\n")
    (folder / "pin").write_text(PIN + "\n")
    (folder / "wrong-pin").write_text("0000-pin\n")
    module = SoftModule(library, "registry", folder)
    subprocess.run(
        ["softhsm2-util", "--init-token", "--free", "--label", module.token, "--so-pin", "so-4711", "--pin", PIN],
        env={"PATH": "/usr/bin:/bin", **module.environment},
        check=True,
        capture_output=True,
    )
    return module
