"""Files for other programs: a table of functions.

A new format is one function `write(result, path) -> tuple of the files written` and one row of FORMATS; the
test that iterates the table reads every format back with an independent reader and compares size in metres.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from designtools.export import csv, currents, dxf, former_stl, glb, kicad, netcdf, nifti, pockets, rf, shims, siting, step, stl, vtk
from designtools.export.csv import store_geometry
from designtools.export.names import file_stem


@dataclass(frozen=True)
class Format:
    """`write(result, path)` returns the files written; `refuses(result)` says why there is nothing to write, or "".

    `place` is where the file goes in a result folder ({name}: the design's), `holds` tells people what it is.
    """

    write: Callable[[Any, Path], tuple[Path, ...]]
    extension: str
    refuses: Callable[[Any], str]
    place: str
    holds: str


FORMATS: Mapping[str, Format] = {
    "csv": Format(
        csv.write, ".csv", csv.refuses, "geometry/{name}.csv", "centrelines and sources as tables, metres"
    ),
    "stl": Format(
        stl.write, ".stl", stl.refuses, "geometry/{name}.stl", "conductors and magnets as solids, millimetres"
    ),
    "former": Format(
        former_stl.write,
        ".stl",
        former_stl.refuses,
        "geometry/{name}-former.stl",
        "formers with grooves, millimetres",
    ),
    "pockets": Format(
        pockets.write_stl, ".stl", pockets.refuses, "geometry/{name}-rings.stl", "ring formers with pockets, millimetres"
    ),
    "pockets_step": Format(
        pockets.write_step, ".step", pockets.refuses, "geometry/{name}-rings.step", "ring formers with pockets for CAD, millimetres"
    ),
    "ledger": Format(
        pockets.write_ledger, ".csv", pockets.refuses_ledger, "geometry/{name}-ledger.csv", "every magnet with place and direction"
    ),
    "shims": Format(
        shims.write, ".csv", shims.refuses, "geometry/{name}-shims.csv", "pieces in every pocket of the shim trays"
    ),
    "currents": Format(
        currents.write, ".csv", currents.refuses, "{name}-currents.csv", "currents of every shot and channel, CSV and JSON"
    ),
    "glb": Format(
        glb.write, ".glb", glb.refuses, "geometry/{name}.glb", "the whole design in colour, metres"
    ),
    "step": Format(
        step.write, ".step", step.refuses, "geometry/{name}.step", "wires and solids for CAD, millimetres"
    ),
    "dxf": Format(
        dxf.write, ".dxf", dxf.refuses, "geometry/{name}.dxf", "flat pattern true to length, millimetres"
    ),
    "kicad": Format(
        kicad.write, ".kicad_pcb", kicad.refuses, "geometry/{name}.kicad_pcb", "windings on planes as boards with layers and vias, millimetres"
    ),
    "vtk": Format(
        vtk.write,
        ".vti",
        vtk.refuses,
        "fields/{name}.vti",
        "field maps (and .vtp tracks) for ParaView, metres",
    ),
    "netcdf": Format(netcdf.write, ".nc", netcdf.refuses, "fields/field.nc", "all field maps, netCDF-4"),
    "nifti": Format(nifti.write, ".nii.gz", nifti.refuses, "fields/b0.nii.gz", "image-space maps, NIfTI-1"),
    "b1": Format(rf.write_b1, ".h5", rf.refuses_b1, "fields/{name}-b1.h5", "complex B1+ and B1- of every channel: HDF5, JEMRIS, NIfTI pairs"),
    "vop": Format(rf.write_vop, ".npz", rf.refuses_vop, "rf/{name}-vop.npz", "virtual observation points of SAR, NumPy and JSON"),
    "touchstone": Format(rf.write_touchstone, ".ts", rf.refuses_touchstone, "rf/{name}.ts", "S-parameters, Touchstone"),
    "capacitors": Format(rf.write_capacitors, ".csv", rf.refuses_capacitors, "rf/{name}-capacitors.csv", "capacitors and inductors of every channel"),
    "siting": Format(
        siting.write, ".svg", siting.refuses, "siting/{name}.svg", "fringe lines, room, zones: CSV, DXF per view, SVG, PNG"
    ),
}


ARRAYS = "arrays.npz"  # in a result folder


def export(result, format: str, path) -> tuple[Path, ...]:
    """Write `result` in one format; returns the files written.

    Raises ValueError for an unknown format or one for which this design has nothing, FileExistsError never:
    an explicit export replaces the file it names.
    """
    if format not in FORMATS:
        near = difflib.get_close_matches(str(format).lower(), FORMATS, n=1)
        hint = f"did you mean '{near[0]}'?" if near else "choose one of them"
        raise ValueError(f"export format must be one of {', '.join(FORMATS)}, got '{format}'; {hint}")
    if reason := FORMATS[format].refuses(result):
        raise ValueError(f"cannot export '{result.name}' as {format}: {reason}")
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    return FORMATS[format].write(result, path)


def place_in(folder: Path, name: str, design: str) -> Path:
    """Where format `name` of the design called `design` goes in a result folder."""
    return folder / FORMATS[name].place.format(name=file_stem(design))


def store(result, folder: Path) -> dict:
    """Write what `restore` needs (geometry/*.csv, fields/field.nc); returns the manifest kept in result.json."""
    manifest = store_geometry(result, folder / "geometry")
    if len(result.maps):
        (folder / "fields").mkdir(exist_ok=True)
        netcdf.write(result, folder / "fields" / "field.nc")
    if result.arrays:
        np.savez_compressed(folder / ARRAYS, **result.arrays)
    return manifest


def restore(manifest: Mapping[str, Any], folder: Path) -> dict:
    """The parts of a Result that `store` wrote: source, windings, formers, sheets, maps."""
    parts = csv.restore_geometry(manifest, folder / "geometry")
    return parts | {"maps": netcdf.StoredMaps(folder / "fields" / "field.nc"), "arrays": _arrays(folder / ARRAYS)}


def _arrays(path: Path) -> dict:
    if not path.is_file():
        return {}
    with np.load(path, allow_pickle=False) as kept:
        return {name: kept[name] for name in kept.files}
