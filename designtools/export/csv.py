"""Tables that anything reads: tracks of windings, sources, and what `load` needs to rebuild a design.

A file opens with `# key: value` lines, then one line of column names.  Lengths are in metres, numbers have
17 significant digits, so that reading gives back the very same float64.

Tracks (one file per winding): `track,x,y,z,nx,ny,nz,role`; the role is that of the piece that starts at the
point, and the last point of a track says `end`.
Sources (one file per leaf of the assembly): one row per loop, block, magnet or segment, one column per
component, e.g. `centre_x`; the units stand in the header.
"""

from __future__ import annotations

import dataclasses
import importlib
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from designtools.export.names import distinct_stems, siblings

AXES = "xyz"
UNITS = {
    "current": "A",
    "current_density": "A/m^2",
    "polarization": "T",
    "flux_density": "T",
    "rotation": "rad",
    "stream": "A",
    "normal": "1",
}
TRACK_COLUMNS = "track,x,y,z,nx,ny,nz,role"


def refuses(result) -> str:
    """Why there is nothing to write, or ""."""
    return "" if result.windings or leaves(result.source) else "the design has neither windings nor sources"


def write(result, path: Path) -> tuple[Path, ...]:
    """Every winding, and every source that is not a winding; several go to `stem-part.csv` beside `path`."""
    parts = dict(_named_parts(result))
    files = siblings(path, parts)
    for file, part in zip(files, parts.values()):
        _write_part(part, file, result.frame)
    return tuple(files)


# ---- tracks -----------------------------------------------------------------------------------------


def write_winding(winding, path: Path, frame: Mapping[str, str]) -> None:
    """One winding as a track table."""
    head = {"designtools": "winding", "name": _one_line(winding.name), "units": "m, A", **_frame_lines(frame)}
    head |= {key: _exact(getattr(winding, key)) for key in ("current", "width", "thickness")}
    if winding.terminals is not None:
        head["terminals"] = " ".join(_exact(value) for value in np.ravel(winding.terminals))
    lines = [f"# {key}: {value}" for key, value in head.items()] + [TRACK_COLUMNS]
    for index, track in enumerate(winding.tracks):
        roles = (*track.roles, "end")
        for point, normal, role in zip(track.points, track.normals, roles):
            lines.append(f"{index},{','.join(map(_exact, (*point, *normal)))},{role}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def read_winding(path: Path):
    """The Winding in a track table, exactly as it was written."""
    from designtools.windings.winding import Winding

    head, columns, rows = _read(Path(path))
    if ",".join(columns) != TRACK_COLUMNS:
        raise ValueError(
            f"'{path}': the columns of a track table must be {TRACK_COLUMNS}, got {','.join(columns)}"
        )
    index = np.array([int(row[0]) for row in rows])
    numbers = np.array([[float(cell) for cell in row[1:7]] for row in rows])
    roles = [row[7] for row in rows]
    cuts = np.flatnonzero(np.diff(index)) + 1
    tracks = tuple(
        _track(numbers[piece], [roles[i] for i in piece[:-1]])
        for piece in np.split(np.arange(len(rows)), cuts)
    )
    terminals = head.get("terminals")
    return Winding(
        name=head["name"],
        tracks=tracks,
        **{key: float(head[key]) for key in ("current", "width", "thickness")},
        terminals=None if terminals is None else np.array(terminals.split(), float).reshape(2, 3),
    )


def _track(numbers: np.ndarray, roles: list[str]):
    from designtools.windings.winding import Track

    return Track(points=numbers[:, :3].copy(), normals=numbers[:, 3:].copy(), roles=tuple(roles))


# ---- sources ----------------------------------------------------------------------------------------


def leaves(source) -> list[Any]:
    """The sources inside nested assemblies, in order."""
    if source is None:
        return []
    parts = getattr(source, "parts", None)
    if parts is None:
        return [source]
    members = parts.values() if isinstance(parts, Mapping) else parts
    return [leaf for member in members for leaf in leaves(member)]


def write_source(source, path: Path, frame: Mapping[str, str]) -> None:
    """One source as a table; a sheet writes its faces beside it as `stem.faces.csv`."""
    table = _columns(source)
    names = [f.name for f in dataclasses.fields(source) if f.name in UNITS]
    units = ", ".join(["m"] + [f"{name}: {UNITS[name]}" for name in names])
    head = {"designtools": "source", "type": type(source).__name__, "units": units, **_frame_lines(frame)}
    _write_table(path, head, table)
    if hasattr(source, "faces"):
        faces = np.asarray(source.faces)
        _write_table(
            _faces_path(path), {"designtools": "faces"}, {c: faces[:, i] for i, c in enumerate("abc")}
        )


def read_source(path: Path):
    """The source in a table, exactly as it was written."""
    from designtools import sources

    path = Path(path)
    head, columns, rows = _read(path)
    numbers = np.array([[float(cell) for cell in row] for row in rows]).reshape(len(rows), len(columns))
    if head["type"] not in sources.__all__:
        raise ValueError(f"{path.name}: the type must be one of {', '.join(sources.__all__)}, got '{head['type']}'")
    kind = getattr(sources, head["type"])
    values = _regroup(columns, numbers)
    if head["type"] == "Sheet":
        _, _, faces = _read(_faces_path(path))
        values["faces"] = np.array(faces, dtype=int)
    if head["type"] == "Uniform":
        values = {name: array[0] for name, array in values.items()}
    return kind(**values)


def _columns(source) -> dict[str, np.ndarray]:
    table = {}
    for f in dataclasses.fields(source):
        if f.name == "faces":
            continue
        values = np.asarray(getattr(source, f.name), float)
        if f.name in ("vertices", *_VECTORS):
            table |= {f"{f.name}_{axis}": column for axis, column in zip(AXES, values.reshape(-1, 3).T)}
        else:
            table[f.name] = np.atleast_1d(values)
    return table


_VECTORS = ("start", "end", "centre", "normal", "size", "rotation", "polarization", "flux_density")


def _regroup(columns: list[str], numbers: np.ndarray) -> dict[str, np.ndarray]:
    groups: dict[str, list[np.ndarray]] = {}
    for column, values in zip(columns, numbers.T):
        vector = column[-2:] in ("_x", "_y", "_z")
        groups.setdefault(column[:-2] if vector else column, []).append(values)
    return {name: np.stack(parts, 1) if len(parts) == 3 else parts[0] for name, parts in groups.items()}


def _faces_path(path: Path) -> Path:
    return path.with_suffix(".faces.csv")


# ---- the geometry of a whole result -----------------------------------------------------------------


def store_geometry(result, folder: Path) -> dict:
    """Write geometry/*.csv; returns which file holds what (`restore_geometry` reads it)."""
    folder.mkdir(parents=True, exist_ok=True)
    parts = _named_parts(result) + [(f"sheet {name}", sheet) for name, sheet in result.sheets.items()]
    files = [f"{stem}.csv" for stem in distinct_stems(name for name, _ in parts)]
    for (_, part), file in zip(parts, files):
        _write_part(part, folder / file, result.frame)
    file_of = {id(part): file for (_, part), file in zip(parts, files)}
    return {
        "windings": [file_of[id(winding)] for winding in result.windings],
        "source": [
            {"winding": twin} if twin is not None else {"file": file_of[id(leaf)]}
            for leaf, twin in with_twins(result)
        ],
        "sheets": {name: file_of[id(sheet)] for name, sheet in result.sheets.items()},
        "formers": {name: _former_record(former) for name, former in result.formers.items()},
    }


def restore_geometry(manifest: Mapping[str, Any], folder: Path) -> dict:
    """Windings, source, sheets and formers from the manifest and the tables."""
    windings = tuple(read_winding(_within(folder, file)) for file in manifest.get("windings", ()))
    parts = [
        windings[item["winding"]].filaments() if "winding" in item else read_source(_within(folder, item["file"]))
        for item in manifest.get("source", ())
    ]
    return {
        "windings": windings,
        "source": _assembly(parts),
        "sheets": {name: read_source(_within(folder, file)) for name, file in manifest.get("sheets", {}).items()},
        "formers": {name: _former(record) for name, record in manifest.get("formers", {}).items()},
    }


def _within(folder: Path, file) -> Path:
    """A file of the folder itself: a name that leads elsewhere is refused."""
    if not isinstance(file, str) or Path(file).name != file or "\\" in file:
        raise ValueError(f"a table of the geometry must lie in {folder}, got the name {file!r}")
    return folder / file


def _assembly(parts: list[Any]):
    from designtools.sources import Assembly

    return Assembly(parts) if parts else None


def _named_parts(result) -> list[tuple[str, Any]]:
    """(name, part) of every winding and of every source that is not the centreline of one."""
    parts = [(winding.name, winding) for winding in result.windings]
    others = [leaf for leaf, twin in with_twins(result) if twin is None]
    names = distinct_stems(["", *(type(leaf).__name__.lower() for leaf in others)])[1:]
    return parts + list(zip(names, others))


def with_twins(result) -> list[tuple[Any, int | None]]:
    """Each source leaf with the index of the winding whose centreline it is, or None."""
    centrelines = [winding.filaments() for winding in result.windings]
    return [
        (leaf, next((i for i, line in enumerate(centrelines) if _same(leaf, line)), None))
        for leaf in leaves(result.source)
    ]


def _same(a, b) -> bool:
    if type(a) is not type(b):
        return False
    pairs = [(np.asarray(getattr(a, f.name)), np.asarray(getattr(b, f.name))) for f in dataclasses.fields(a)]
    return all(x.shape == y.shape and np.array_equal(x, y) for x, y in pairs)


def _former_record(former) -> dict:
    values = {f.name: np.asarray(getattr(former, f.name)).tolist() for f in dataclasses.fields(former)}
    return {"type": f"{type(former).__module__.rpartition('.')[2]}.{type(former).__name__}", **values}


def _former(record: Mapping[str, Any]):
    module, _, name = record["type"].rpartition(".")
    if not module.isidentifier():
        raise ValueError(
            f"a former's type must read module.Class of designtools.formers, got '{record['type']}'"
        )
    kind = getattr(importlib.import_module(f"designtools.formers.{module}"), name, None)
    if not isinstance(kind, type) or not kind.__module__.startswith("designtools.formers."):
        raise ValueError(f"a former's type must be a class of designtools.formers, got '{record['type']}'")
    values = {key: np.array(v) if isinstance(v, list) else v for key, v in record.items() if key != "type"}
    return kind(**values)


# ---- text -------------------------------------------------------------------------------------------


def _write_part(part, path: Path, frame: Mapping[str, str]) -> None:
    (write_winding if hasattr(part, "tracks") else write_source)(part, path, frame)


def _write_table(path: Path, head: Mapping[str, str], table: Mapping[str, np.ndarray]) -> None:
    out = io.StringIO()
    for key, value in head.items():
        out.write(f"# {key}: {value}\n")
    out.write(",".join(table) + "\n")
    for row in zip(*(column.tolist() for column in table.values())):
        out.write(",".join(_exact(value) for value in row) + "\n")
    path.write_text(out.getvalue(), encoding="utf-8")


def _read(path: Path) -> tuple[dict[str, str], list[str], list[list[str]]]:
    head, body = {}, []
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            key, _, value = line[1:].partition(":")
            head[key.strip()] = value.strip()
        elif line.strip():
            body.append(line.split(","))
    if not body:
        raise ValueError(f"'{path}' must hold a line of column names and rows, but it is empty")
    return head, body[0], body[1:]


def _frame_lines(frame: Mapping[str, str]) -> dict[str, str]:
    return {key: _one_line(value) for key, value in frame.items()}


def _one_line(text: str) -> str:
    return " ".join(str(text).split())


def _exact(value) -> str:
    return repr(value) if isinstance(value, int) else repr(float(value))
