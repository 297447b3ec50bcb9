"""The dependency list of a package: what its training image is locked to, as a CycloneDX document."""

import re
from datetime import datetime
from pathlib import Path
from uuid import NAMESPACE_URL, uuid5

from ml_platform import containers
from ml_platform.core.fingerprint import fingerprint_bytes

TRAINING_LOCK = Path(containers.__file__).parent / "training" / "requirements.lock"
_PIN = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^\s;\\]+)\s*(?:;\s*(?P<marker>[^\\]+))?")


def locked_packages(lock: str) -> dict[str, str]:
    """Return the packages of a lock that are installed on this Python, name to version."""
    from packaging.markers import Marker

    found = {}
    for line in lock.splitlines():
        pin = _PIN.match(line)
        if pin and (not pin["marker"] or Marker(pin["marker"].strip()).evaluate()):
            found[pin["name"]] = pin["version"]
    return found


def dependency_list(model: str, fingerprint: str, at: datetime, lock: bytes | None = None) -> str:
    """Return the training image's packages as CycloneDX JSON; the same package gives the same text.

    Args:
        model: The model.
        fingerprint: Of the candidate.
        at: When the package was registered.
        lock: The image's lock file; None: the one in this version of the platform.
    """
    from cyclonedx.model.bom import Bom
    from cyclonedx.model.component import Component, ComponentType
    from cyclonedx.output.json import JsonV1Dot6
    from packageurl import PackageURL

    content = TRAINING_LOCK.read_bytes() if lock is None else lock
    digest = fingerprint_bytes(content)
    root = Component(name=model, version=fingerprint, type=ComponentType.MACHINE_LEARNING_MODEL, bom_ref=model)
    parts = [
        Component(
            name=name,
            version=version,
            type=ComponentType.LIBRARY,
            purl=PackageURL("pypi", name=name, version=version),
            bom_ref=f"{name}=={version}",
        )
        for name, version in sorted(locked_packages(content.decode()).items())
    ]
    bom = Bom(components=parts, serial_number=uuid5(NAMESPACE_URL, f"{fingerprint}:{digest}"))
    bom.metadata.component = root
    bom.metadata.timestamp = at
    bom.register_dependency(root, parts)
    return str(JsonV1Dot6(bom).output_as_string(indent=1))
