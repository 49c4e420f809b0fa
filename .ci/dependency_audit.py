"""Ask for known vulnerabilities of everything that the lock file pins; part of `make lint`.

A vulnerability fails it. Where no advisory database can be reached it says in one line that the audit was NOT made;
with MARCHAMO_AUDIT=required that fails too. MARCHAMO_AUDIT_OSV names another database that speaks OSV's protocol.
Usage: dependency_audit.py [LOCK FILE].
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

LOCK = Path(__file__).resolve().parents[1] / "requirements.lock"
SECONDS = 60
"""How long the whole audit may take."""
SOCKET_SECONDS = 5


def run(lock: Path, database: str) -> tuple[list[dict[str, Any]] | None, str]:
    """Give what is known about each pinned package, or None and why nothing is known."""
    command = [sys.executable, "-m", "pip_audit", "--requirement", str(lock), "--require-hashes", "--disable-pip"]
    command += ["--progress-spinner", "off", "--format", "json", "--timeout", str(SOCKET_SECONDS)]
    command += ["--vulnerability-service", "osv", "--osv-url", database] if database else []
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)  # noqa: S603
    except subprocess.TimeoutExpired:
        return None, f"the advisory database did not answer within {SECONDS} seconds"
    try:
        found: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        said = done.stderr.strip().splitlines()
        return None, said[-1][:200] if said else f"pip-audit ended with {done.returncode}"
    if not any("vulns" in package for package in found):
        return None, "no package was found in an advisory database that can be reached from here"
    return found, ""


def main(lock: Path, *, required: bool, database: str) -> int:
    """Audit, say what was found, and give the exit code."""
    found, why_not = run(lock, database)
    if found is None:
        sys.stdout.write(f"dependency audit: NOT MADE ({why_not})\n")
        return 1 if required else 0
    vulnerable = [(package, known) for package in found for known in package.get("vulns", [])]
    for package, known in vulnerable:
        fixed = ", ".join(known.get("fix_versions", [])) or "no version"
        sys.stdout.write(f"{package['name']} {package['version']}: {known['id']}, fixed in {fixed}\n")
    skipped = [package["name"] for package in found if "vulns" not in package]
    audited = len(found) - len(skipped)
    sys.stdout.write(f"dependency audit: {audited} packages, {len(vulnerable)} known vulnerabilities\n")
    if skipped:
        sys.stdout.write(f"dependency audit: NOT MADE for {', '.join(skipped)}\n")
    return 1 if vulnerable or (skipped and required) else 0


if __name__ == "__main__":
    sys.exit(
        main(
            Path(sys.argv[1]) if len(sys.argv) > 1 else LOCK,
            required=os.environ.get("MARCHAMO_AUDIT") == "required",
            database=os.environ.get("MARCHAMO_AUDIT_OSV", ""),
        )
    )
