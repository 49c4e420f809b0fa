"""Write the software bill of materials (CycloneDX 1.6) from the lock files, without asking anybody.

Usage: sbom.py [OUTPUT]. What the service needs is `required`, what only tests and measurements need is `excluded`.
The same lock files give the same bytes.
"""

import hashlib
import json
import re
import sys
import tomllib
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
OUTPUT = ROOT / "build" / "sbom.cdx.json"
EVERYTHING = ROOT / "requirements.lock"
SERVICE = ROOT / "requirements-service.lock"
_PINNED = re.compile(
    r"^(?P<name>[A-Za-z0-9._-]+)(?:\[[^\]]*\])?==(?P<version>[^\s;\\]+)(?P<rest>.*?)(?=^\S|\Z)",
    re.MULTILINE | re.DOTALL,
)
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class Pin:
    """One package of a lock file: its name as indexes write it, its version, the SHA-256 of each of its files."""

    name: str
    version: str
    hashes: tuple[str, ...]

    @property
    def url(self) -> str:
        """The package URL (purl)."""
        return f"pkg:pypi/{self.name}@{self.version}"


def read_lock(path: Path) -> list[Pin]:
    """Give the pins of a lock file, in order."""
    found = _PINNED.finditer(path.read_text("utf-8"))
    pins = {
        Pin(re.sub(r"[-_.]+", "-", pin["name"]).lower(), pin["version"], tuple(sorted(_HASH.findall(pin["rest"]))))
        for pin in found
    }
    return sorted(pins, key=lambda pin: (pin.name, pin.version))


def bill() -> dict[str, Any]:
    """Give the whole document."""
    pins, needed = read_lock(EVERYTHING), {pin.url for pin in read_lock(SERVICE)}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    own = f"pkg:pypi/{project['name']}@{project['version']}"
    digest = hashlib.sha256(EVERYTHING.read_bytes() + SERVICE.read_bytes()).hexdigest()
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, f'{own} {digest}')}",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": own,
                "name": project["name"],
                "version": project["version"],
                "description": project["description"],
                "licenses": [{"license": {"id": project["license"]}}],
                "purl": own,
            }
        },
        "components": [_component(pin, required=pin.url in needed) for pin in pins],
        "dependencies": [{"ref": own, "dependsOn": [pin.url for pin in pins]}],
    }


def _component(pin: Pin, *, required: bool) -> dict[str, Any]:
    component: dict[str, Any] = {
        "type": "library",
        "bom-ref": pin.url,
        "name": pin.name,
        "version": pin.version,
        "scope": "required" if required else "excluded",
        "purl": pin.url,
    }
    if len(pin.hashes) == 1:  # the hash of a component is that of one file; a wheel for each system has another
        component["hashes"] = [{"alg": "SHA-256", "content": pin.hashes[0]}]
    else:
        component["externalReferences"] = [
            {
                "type": "distribution",
                "url": f"https://pypi.org/project/{pin.name}/{pin.version}/#files",
                "hashes": [{"alg": "SHA-256", "content": one} for one in pin.hashes],
            }
        ]
    return component


def main(output: Path) -> None:
    """Write the document, and say so in one line."""
    document = bill()
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps(document, indent=1) + "\n", "utf-8")
    required = sum(component["scope"] == "required" for component in document["components"])
    sys.stdout.write(f"SBOM: {len(document['components'])} packages, {required} of the service: {output}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else OUTPUT)
