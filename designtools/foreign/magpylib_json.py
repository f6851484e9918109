"""magpylib objects written as JSON."""

from __future__ import annotations

import json
from pathlib import Path

from designtools.foreign.reading import Reading, UnreadableWinding


def read_magpylib(path: Path, current: float = 1.0, unit: str | None = None) -> Reading:
    """magpylib objects as JSON: a list of objects, or {"sources": [...]} or {"children": [...]}, nested at will.

    Each object is {"type": "Circle", ...} with the arguments of the magpylib class of that name (`diameter`,
    `vertices`, `dimension`, `polarization`, `current`, `position` in SI), and `orientation` as a quaternion
    [x, y, z, w] or a rotation vector [rad].
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise UnreadableWinding(f"'{path}': must be valid JSON, got {error}") from None
    objects = [_magpylib_object(path, record, current) for record in _records(path, data)]
    if not objects:
        raise UnreadableWinding(f"'{path}': must list at least one object, got none")
    import magpylib

    from designtools.interop import from_magpylib

    count = f"{len(objects)} magpylib object{'s' if len(objects) > 1 else ''}"
    return Reading(from_magpylib(magpylib.Collection(objects)), f"{count}; lengths in m, as magpylib has it; {current:g} A where a current is not stated")


def _records(path: Path, data) -> list[dict]:
    if isinstance(data, list):
        return [record for item in data for record in _records(path, item)]
    if not isinstance(data, dict):
        raise UnreadableWinding(f"'{path}': must be a list of objects with 'type', got {type(data).__name__}")
    nested = next((data[key] for key in ("sources", "children") if key in data), None)
    return [data] if nested is None else _records(path, nested)


def _magpylib_object(path: Path, record: dict, current: float):
    import magpylib
    from scipy.spatial.transform import Rotation

    arguments = dict(record)
    name = str(arguments.pop("type", "")).split(".")[-1]
    public = name[:1].isupper()
    module = next((m for m in (magpylib.current, magpylib.magnet, magpylib.misc) if public and hasattr(m, name)), None)
    if module is None:
        raise UnreadableWinding(f"'{path}': 'type' must name a magpylib source such as Circle or Polyline, got {name!r}")
    turn = arguments.pop("orientation", None)
    if module is magpylib.current:
        arguments.setdefault("current", current)
    try:
        if turn is not None:
            arguments["orientation"] = Rotation.from_quat(turn) if len(turn) == 4 else Rotation.from_rotvec(turn)
        return getattr(module, name)(**arguments)
    except Exception as error:  # magpylib raises its own kinds
        reason = (str(error).strip().splitlines() or [""])[0]
        raise UnreadableWinding(f"'{path}': {name} must have sound arguments, got: {reason}") from None
