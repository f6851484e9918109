"""Commented specs to begin with, one per kind."""

from __future__ import annotations

import difflib
import json
from importlib import resources
from pathlib import Path

from designtools.spec import KINDS, LATER, json_schema


def starter(kind: str) -> str:
    """The text of a starter spec; raises ValueError for a kind that this version does not have."""
    if kind not in KINDS:
        available = ", ".join(KINDS)
        if kind in LATER:
            raise ValueError(f"{kind!r} is not yet available in this version; available: {available}")
        near = difflib.get_close_matches(kind, KINDS, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"KIND must be one of {available}, got {kind!r}{hint}")
    return (resources.files(__package__) / f"{kind}.yaml").read_text(encoding="utf-8")


def write_starter(kind: str, path: str | Path, schema: bool = False) -> list[Path]:
    """Write the starter, and for a shim two made-up maps beside it; returns the files written.

    `schema`: also the JSON Schema of the kind, which the first line of the spec names for editors.
    Raises FileExistsError rather than overwrite anything.
    """
    text, path = starter(kind), Path(path)
    described = [path.parent / f"{kind}.schema.json"] if schema else []
    maps = [path.parent / name for name in ("field_map.nii.gz", "mask.nii.gz")] if kind == "shim" else []
    for taken in (file for file in (path, *maps, *described) if file.exists()):
        raise FileExistsError(f"--out must name a new file, but '{taken}' exists; name another or move it away")
    path.parent.mkdir(parents=True, exist_ok=True)
    for file in described:
        file.write_text(json.dumps(json_schema(kind), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        text = f"# yaml-language-server: $schema={file.name}\n{text}"
    path.write_text(text, encoding="utf-8")
    if maps:
        _write_made_up_maps(*maps)
    return [path, *maps, *described]


def _write_made_up_maps(field_map: Path, mask: Path) -> None:
    """A ball of 70 mm radius in the field of a dipole below it, on a 4 mm grid; Hz."""
    import nibabel
    import numpy as np

    mm = np.arange(-80.0, 81.0, 4.0)
    x, y, z = np.meshgrid(mm, mm, mm, indexing="ij")
    inside = x**2 + y**2 + z**2 <= 70.0**2
    distance = np.sqrt(x**2 + (y - 60) ** 2 + (z + 90) ** 2)
    hertz = 100 * (40 / distance) ** 3 * (3 * ((z + 90) / distance) ** 2 - 1)
    affine = np.diag([4.0, 4.0, 4.0, 1.0])
    affine[:3, 3] = mm[0]
    for path, values in ((field_map, np.where(inside, hertz, 0).astype("f4")), (mask, inside.astype("u1"))):
        nibabel.save(nibabel.Nifti1Image(values, affine), path)
