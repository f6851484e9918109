"""Names of the tissues whose dielectric properties ship with the package, for specs; nothing heavy is loaded."""

from __future__ import annotations

import json
from importlib import resources

from designtools.spec.base import did_you_mean


def names() -> list[str]:
    """All names of the table."""
    path = resources.files("designtools") / "materials" / "tissue_cole_cole.json"
    return list(json.loads(path.read_text(encoding="utf-8"))["tissues"])


def unknown(name: str) -> str:
    """A sentence where `name` is no tissue of the table (upper and lower case are one), else nothing."""
    known = {n.lower(): n for n in names()}
    if name.lower() in known:
        return ""
    hint = did_you_mean(name.lower(), known) or f"; known: {', '.join(known.values())}"
    return f"must be a tissue of the table, got {name!r}{hint}"
