"""Where shims go: pieces of iron in the pockets of trays, small magnets on a cylinder, as one table."""

from __future__ import annotations

from pathlib import Path

RECORDS = ("iron trays", "shim magnets")  # in the audit; each has `columns` and `pockets`


def refuses(result) -> str:
    """Why there is nothing to write, or ""."""
    return "" if _records(result) else "the design has no trays of shims"


def write(result, path: Path) -> tuple[Path, ...]:
    """One row per pocket, empty ones included."""
    rows = ["# designtools: shims", f"# frame: {dict(result.frame)}"]
    for name, record in _records(result).items():
        rows += [f"# {name}", ",".join(record["columns"])]
        rows += [",".join(str(value) for value in pocket) for pocket in record["pockets"]]
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return (path,)


def _records(result) -> dict:
    return {name: result.audit[name] for name in RECORDS if name in result.audit}
