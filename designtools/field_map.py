"""The field of a source as an xarray Dataset: named axes in metres, units, frame; it writes and reads as netCDF."""

from __future__ import annotations

import numpy as np

from designtools.fields import field_gradient, scalar_potential

_LETTERS = ("x", "y", "z")


def _norm(source, points):
    return np.linalg.norm(source.field(points), axis=1)


# name: (function of source and points, dimensions beyond the points, unit, long name)
QUANTITIES = {
    "B": (lambda source, points: source.field(points), ("component",), "T", "magnetic flux density"),
    "A": (lambda source, points: source.potential(points), ("component",), "T m", "magnetic vector potential"),
    "gradient": (field_gradient, ("component", "derivative"), "T m-1", "derivative of B_component along derivative"),
    "norm": (_norm, (), "T", "magnitude of the magnetic flux density"),
    "scalar_potential": (scalar_potential, (), "A", "magnetic scalar potential, H = -grad"),
}


def field_map(source, axes=None, points=None, quantities=("B",), frame=None):
    """Chosen quantities of `source` as an xarray.Dataset, on a grid or at scattered points.

    axes: three increasing coordinate arrays x, y, z (m), giving dimensions x, y, z; or points (P,3) m, giving the
    dimension `point` with coordinates x, y, z.  quantities: names in QUANTITIES ("B", "A", "gradient", "norm",
    "scalar_potential"); vectors have the dimension `component` (x, y, z), the gradient also `derivative`.
    frame: mapping such as {"b0_axis": "z", "bore_axis": "z", "origin": "isocentre"}, kept as attributes.
    Units are attributes by the CF conventions.  Needs xarray (and h5netcdf to write); ImportError names the remedy.
    """
    xarray = _xarray()
    unknown = [name for name in quantities if name not in QUANTITIES]
    if unknown or not len(quantities):
        raise ValueError(f"field_map: quantities must be among {', '.join(QUANTITIES)}, got {list(quantities)}")
    dimensions, shape, places, coordinates = _places(axes, points)
    variables = {}
    for name in quantities:
        function, extra, unit, meaning = QUANTITIES[name]
        values = np.asarray(function(source, places)).reshape(*shape, *(3 for _ in extra))
        variables[name] = ((*dimensions, *extra), values, {"units": unit, "long_name": meaning})
    used = {dimension for name in quantities for dimension in QUANTITIES[name][1]}
    coordinates |= {dimension: (dimension, list(_LETTERS)) for dimension in sorted(used)}
    attributes = {"Conventions": "CF-1.10", "title": f"field of {type(source).__name__}"}
    attributes |= {key: str(value) for key, value in (frame or {}).items()}
    return xarray.Dataset(variables, coordinates, attributes)


def _places(axes, points):
    """Dimensions, their sizes, the points (P,3) and the coordinates of the dataset."""
    if (axes is None) == (points is None):
        raise ValueError("field_map: exactly one of axes (x, y, z) and points (P,3) must be given; leave the other out")
    if points is not None:
        places = np.asarray(points, float)
        if places.ndim != 2 or places.shape[1] != 3:
            raise ValueError(f"field_map: points must have shape (P,3), got {places.shape}; use axes for a grid")
        return ("point",), (len(places),), places, _coordinates(places.T, ["point"] * 3)
    axes = [np.atleast_1d(np.asarray(axis, float)) for axis in axes]
    if len(axes) != 3 or any(axis.ndim != 1 or np.any(np.diff(axis) <= 0) for axis in axes):
        raise ValueError("field_map: axes must be three arrays of increasing coordinates in m, got others; sort them")
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    return _LETTERS, grid.shape[:3], grid.reshape(-1, 3), _coordinates(axes, _LETTERS)


def _coordinates(arrays, dimensions):
    return {
        letter: (dimension, array, {"units": "m", "axis": letter.upper(), "long_name": f"{letter} of the frame"})
        for letter, array, dimension in zip(_LETTERS, arrays, dimensions)
    }


def _xarray():
    try:
        import xarray
    except ImportError:
        raise ImportError(
            "field_map: the result must be an xarray.Dataset, but xarray is not installed; run `pip install xarray`, "
            "or use source.field(points)"
        ) from None
    return xarray
