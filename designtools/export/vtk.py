"""VTK XML files for ParaView, in metres: image data (.vti) per field map, poly data (.vtp) for the tracks.

Arrays are inline base64 with 64-bit length headers (VTK file formats, "XML file formats", kitware).
"""

from __future__ import annotations

import base64
import sys
from pathlib import Path
from xml.sax.saxutils import quoteattr

import numpy as np

from designtools.export.names import siblings

_TYPES = {"float64": "Float64", "int64": "Int64"}


def refuses(result) -> str:
    """Why there is nothing to write, or ""."""
    return "" if len(result.maps) or result.windings else "the result has neither field maps nor windings"


def write(result, path: Path) -> tuple[Path, ...]:
    """Each map to .vti (several: `stem-map.vti`) and all tracks to `stem.vtp`; `path` gives the stem."""
    maps = list(result.maps)
    files = siblings(path.with_suffix(".vti"), [field_map.name for field_map in maps]) if maps else []
    for file, field_map in zip(files, maps):
        _save(file, _image(field_map))
    if result.windings:
        files.append(path.with_suffix(".vtp"))
        _save(files[-1], _tracks(result.windings))
    return tuple(files)


def _image(field_map) -> str:
    origin, spacing, direction = _grid(field_map)
    extent = " ".join(f"0 {len(axis) - 1}" for axis in field_map.axes)
    values = np.asarray(field_map.values, float)
    order = (2, 1, 0) if values.ndim == 3 else (2, 1, 0, 3)  # VTK counts x fastest
    name = f"{field_map.name} [{field_map.unit}]"
    data = _array(name, values.transpose(order), components=1 if values.ndim == 3 else 3)
    head = f'WholeExtent="{extent}" Origin="{_row(origin)}" Spacing="{_row(spacing)}" Direction="{_row(direction)}"'
    body = f'<Piece Extent="{extent}"><PointData>{data}</PointData></Piece>'
    return f"<ImageData {head}>{body}</ImageData>"


def _grid(field_map) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Origin (3,), spacing (3,) in m and direction cosines (9,) of an image or of an even grid."""
    if field_map.affine is not None:
        affine = np.asarray(field_map.affine, float)
        spacing = np.linalg.norm(affine[:3, :3], axis=0)
        return affine[:3, 3] / 1e3, spacing / 1e3, (affine[:3, :3] / spacing).ravel()
    origin = np.array([axis[0] for axis in field_map.axes])
    steps = [np.diff(axis) if len(axis) > 1 else np.ones(1) for axis in field_map.axes]
    spacing = np.array([step.mean() for step in steps])
    if any(np.abs(step - mean).max() > 1e-9 * abs(mean) for step, mean in zip(steps, spacing)):
        raise ValueError(f"FieldMap '{field_map.name}': a .vti needs equally spaced axes; resample the map")
    return origin, spacing, np.eye(3).ravel()


def _tracks(windings) -> str:
    tracks = [(n, i, track) for n, winding in enumerate(windings) for i, track in enumerate(winding.tracks)]
    counts = np.array([len(track.points) for *_, track in tracks])
    points = np.concatenate([track.points for *_, track in tracks])
    normals = np.concatenate([track.normals for *_, track in tracks])
    layer = np.array([n for n, *_ in tracks])
    cells = _array("layer", layer) + _array("track", np.array([i for _, i, _ in tracks]))
    cells += _array("current [A]", np.array([windings[n].current for n in layer], float))
    lines = _array("connectivity", np.arange(counts.sum())) + _array("offsets", np.cumsum(counts))
    return (
        f'<PolyData><Piece NumberOfPoints="{counts.sum()}" NumberOfVerts="0" NumberOfLines="{len(counts)}" '
        f'NumberOfStrips="0" NumberOfPolys="0"><PointData Normals="normal">{_array("normal", normals, 3)}</PointData>'
        f"<CellData>{cells}</CellData><Points>{_array('points', points, 3)}</Points><Lines>{lines}</Lines>"
        f"</Piece></PolyData>"
    )


def _array(name: str, values, components: int = 1) -> str:
    values = np.ascontiguousarray(values)
    payload = np.uint64(values.nbytes).tobytes() + values.tobytes()
    return (
        f'<DataArray type="{_TYPES[values.dtype.name]}" Name={quoteattr(name)} NumberOfComponents="{components}" '
        f'format="binary">{base64.b64encode(payload).decode()}</DataArray>'
    )


def _row(values) -> str:
    return " ".join(repr(float(value)) for value in values)


def _save(path: Path, body: str) -> None:
    kind = body[1 : body.index("Data") + 4]
    order = "LittleEndian" if sys.byteorder == "little" else "BigEndian"
    head = f'<VTKFile type="{kind}" version="1.0" byte_order="{order}" header_type="UInt64">'
    path.write_text(f'<?xml version="1.0" encoding="utf-8"?>\n{head}{body}</VTKFile>\n', encoding="utf-8")
