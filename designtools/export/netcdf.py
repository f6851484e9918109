"""netCDF-4: all field maps in one file, following the CF conventions as far as they reach here; xarray opens it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from designtools.export.names import distinct_stems
from designtools.result import FieldMap


def refuses(result) -> str:
    """Why there is nothing to write, or ""."""
    return "" if len(result.maps) else "the result has no field maps"


def write(result, path: Path) -> tuple[Path, ...]:
    """One variable per map with dimensions `<map>_x`, `<map>_y`, `<map>_z` (m) and, for vectors, `component`."""
    import h5netcdf

    maps = list(result.maps)
    with h5netcdf.File(path, "w") as file:
        file.attrs["Conventions"] = "CF-1.10"
        file.attrs["title"] = str(result.name)
        for key, value in result.frame.items():
            file.attrs[key] = str(value)
        for name, field_map in zip(_variables(maps), maps):
            _write_map(file, name, field_map)
    return (path,)


def _variables(maps) -> list[str]:
    return [stem.replace(".", "_") for stem in distinct_stems(field_map.name for field_map in maps)]


def _write_map(file, name: str, field_map: FieldMap) -> None:
    dimensions = tuple(f"{name}_{axis}" for axis in "xyz")
    for dimension, letter, axis in zip(dimensions, "XYZ", field_map.axes):
        file.dimensions[dimension] = len(axis)
        variable = file.create_variable(dimension, (dimension,), data=np.asarray(axis, float))
        variable.attrs.update({"units": "m", "axis": letter})
    if np.ndim(field_map.values) == 4:
        dimensions = (*dimensions, _component(file))
    variable = file.create_variable(
        name, dimensions, data=np.asarray(field_map.values, float), compression="gzip"
    )
    variable.attrs.update({"units": field_map.unit, "long_name": field_map.name})
    if field_map.affine is not None:
        variable.attrs["affine_mm"] = np.asarray(field_map.affine, float).ravel()


def _component(file) -> str:
    if "component" not in file.dimensions:
        file.dimensions["component"] = 3
        file.create_variable("component", ("component",), data=np.arange(3))
        file["component"].attrs["long_name"] = "x, y, z of the frame"
    return "component"


class StoredMaps(Sequence):
    """The maps of a field.nc, each read from the file when asked for; empty where there is no file."""

    def __init__(self, path: Path):
        self.path = Path(path)

    def __len__(self) -> int:
        return len(self._names())

    def __getitem__(self, index):
        names = self._names()[index]
        return self._read(names) if isinstance(names, str) else [self._read(name) for name in names]

    def _names(self) -> list[str]:
        import h5netcdf

        if not self.path.is_file():
            return []
        with h5netcdf.File(self.path, "r") as file:
            return [name for name in file.variables if name not in file.dimensions]

    def _read(self, name: str) -> FieldMap:
        import h5netcdf

        with h5netcdf.File(self.path, "r") as file:
            variable = file[name]
            axes = tuple(np.asarray(file[f"{name}_{axis}"][...]) for axis in "xyz")
            affine = (
                np.reshape(variable.attrs["affine_mm"], (4, 4)) if "affine_mm" in variable.attrs else None
            )
            return FieldMap(
                str(variable.attrs["long_name"]), axes, variable[...], str(variable.attrs["units"]), affine
            )
