"""STL: every conductor and magnet as a watertight body.  STL knows no unit; slicers and CAD expect millimetres."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from designtools.export import bodies

MILLIMETRES = 1e3
_RECORD = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])


def refuses(result) -> str:
    """Why there is nothing to write, or ""."""
    return "" if bodies.has_solids(result) else "nothing in the design has a volume"


def write(result, path: Path) -> tuple[Path, ...]:
    """Binary STL in millimetres, all bodies in one file."""
    write_meshes([body.mesh for body in bodies.solids(result)], path)
    return (path,)


def write_meshes(meshes, path: Path) -> None:
    """Triangle meshes in metres as one binary STL in millimetres."""
    corners = (
        np.concatenate([np.asarray(mesh.vertices)[np.asarray(mesh.faces)] for mesh in meshes]) * MILLIMETRES
    )
    records = np.zeros(len(corners), _RECORD)
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    lengths = np.linalg.norm(normals, axis=1, keepdims=True)
    records["normal"] = np.divide(normals, lengths, out=np.zeros_like(normals), where=lengths > 0)
    records["corners"] = corners
    header = b"designtools, millimetres".ljust(80)
    path.write_bytes(header + np.uint32(len(records)).tobytes() + records.tobytes())
