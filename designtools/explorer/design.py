"""A result folder as an explorer opens it: data only, judged before it is shown; nothing in it is run."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

from ruamel.yaml.error import YAMLError

from designtools import result as results
from designtools.result import Figure, Result

LARGEST = 64 * 1024 * 1024  # bytes of result.json
BROKEN = (ValueError, TypeError, KeyError, IndexError, AttributeError, OSError, ImportError, RecursionError, OverflowError, YAMLError)


class Unreadable(ValueError):
    """A folder that holds no finished design; the text is one sentence."""


def opened(folder) -> Result:
    """The design in `folder`; without its geometry where that cannot be read, which the message then says."""
    folder = Path(folder).absolute()
    record = _record(folder)
    try:
        return replace(results.load(folder), **_head(record))
    except BROKEN as error:
        words = f"its geometry could not be read: {_line(error)}"
        return Result(**_head(record, words), frame=results.Z_FRAME, folder=folder)


def _record(folder: Path) -> dict:
    path = folder / "result.json"
    try:
        if path.stat().st_size > LARGEST:
            raise ValueError(f"larger than {LARGEST} bytes")
        record = json.loads(path.read_text(encoding="utf-8"))
        _head(record)
    except BROKEN as error:
        raise Unreadable(f"must be the folder of a finished design with a sound result.json, got {str(folder)!r}: {_line(error)}") from None
    return record


def _head(record, more: str = "") -> dict[str, Any]:
    """Names, figures and requirements, each of the type it must have."""
    message = "; ".join(part for part in (str(record.get("message") or ""), more) if part)
    figures = {str(name): _figure(item) for name, item in record["figures"].items()}
    rows = tuple(_requirement(row) for row in record["requirements"])
    return {"kind": str(record.get("kind", "")), "name": str(record["name"]), "status": str(record.get("status", "done")), "message": message, "figures": figures, "requirements": rows}


def _figure(item) -> Figure:
    value = math.nan if item["value"] is None else float(item["value"])
    spread = item.get("uncertainty")
    return Figure(value, str(item["unit"]), str(item["method"]), None if spread is None else float(spread))


def _requirement(row) -> dict:
    number = lambda value: None if value is None else float(value)
    more = {str(key): str(value) for key, value in row.items() if value is not None}
    return more | {
        "quantity": str(row["quantity"]), "op": str(row["op"]), "limit": float(row["limit"]), "value": number(row["value"]),
        "margin": number(row["margin"]), "status": str(row["status"]),
    }  # fmt: skip


def _line(error: Exception) -> str:
    """The first line of what an exception says, short."""
    return (str(error).splitlines() or [""])[0][:200] or type(error).__name__
