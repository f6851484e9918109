"""Currents of a shim, shot by shot: as CSV in the order of the channels, and as JSON beside it."""

from __future__ import annotations

import csv
import json
from pathlib import Path


def refuses(result) -> str:
    """Why there is nothing to write, or ""."""
    return "" if "shots" in result.audit else "the design has no shots with currents"


def write(result, path: Path) -> tuple[Path, ...]:
    """One row per shot: the shift of the centre frequency, then every channel in its own unit; all digits."""
    shots = result.audit["shots"]
    beside = path.with_suffix(".json")
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(shots["columns"])
        rows.writerows(shots["rows"])
    record = {"name": result.name, "frame": dict(result.frame), "channels": shots["channels"], "units": shots["units"]}
    record["shots"] = [{"name": row[0], "centre_frequency_shift_Hz": row[1], "values": row[2:]} for row in shots["rows"]]
    beside.write_text(json.dumps(record, indent=1), encoding="utf-8")
    return path, beside
