"""xarray datasets of a field: values, names, units, netCDF there and back."""

import sys

import numpy as np
import pytest
import xarray

from designtools.field_map import field_map
from designtools.fields import field_gradient
from designtools.sources import Loops, Magnets

LOOP = Loops([[0, 0, 0]], [[0, 0, 1]], [0.5], [1e3])
AXES = ([-0.1, 0.0, 0.2], [0.0, 0.1], [-0.05, 0.05, 0.1, 0.3])


def test_a_grid_has_axes_in_metres_and_the_field_at_its_points(tmp_path):
    data = field_map(LOOP, AXES, quantities=("B", "A", "gradient", "norm"), frame={"b0_axis": "z"})
    assert data.B.dims == ("x", "y", "z", "component") and data.gradient.dims[-1] == "derivative"
    place = np.array([[0.2, 0.1, 0.3]])
    here = data.sel(x=0.2, y=0.1, z=0.3)
    np.testing.assert_allclose(here.B, LOOP.field(place)[0], rtol=1e-14)
    np.testing.assert_allclose(here.A, LOOP.potential(place)[0], rtol=1e-14)
    np.testing.assert_allclose(here.gradient, field_gradient(LOOP, place)[0], rtol=1e-14)
    np.testing.assert_allclose(data.norm, np.sqrt((data.B**2).sum("component")), rtol=1e-14)
    assert [data[name].units for name in ("x", "B", "A", "gradient", "norm")] == ["m", "T", "T m", "T m-1", "T"]
    assert data.attrs["b0_axis"] == "z" and data.attrs["Conventions"].startswith("CF")
    assert list(data.component.values) == ["x", "y", "z"]
    data.to_netcdf(tmp_path / "field.nc", engine="h5netcdf")
    with xarray.open_dataset(tmp_path / "field.nc", engine="h5netcdf") as back:
        xarray.testing.assert_identical(back.load(), data)


def test_scattered_points_keep_their_coordinates():
    points = np.random.default_rng(0).normal(size=(7, 3))
    magnet = Magnets([[0, 0, 0]], [[0.1] * 3], [[0, 0, 0]], [[0, 0, 1.0]])
    data = field_map(magnet, points=points, quantities=("B", "scalar_potential"))
    assert data.B.dims == ("point", "component")
    np.testing.assert_array_equal(data.y, points[:, 1])
    np.testing.assert_allclose(data.B, magnet.field(points), rtol=1e-14)
    np.testing.assert_allclose(data.scalar_potential, magnet.scalar_potential(points), rtol=1e-14)


def test_refusals_are_sentences(monkeypatch):
    with pytest.raises(ValueError, match="exactly one of axes"):
        field_map(LOOP)
    with pytest.raises(ValueError, match="quantities must be among B, A"):
        field_map(LOOP, AXES, quantities=("H",))
    with pytest.raises(ValueError, match="increasing coordinates"):
        field_map(LOOP, ([0.1, 0.0], [0.0], [0.0]))
    with pytest.raises(ValueError, match=r"points must have shape \(P,3\)"):
        field_map(LOOP, points=np.zeros((2, 2)))
    monkeypatch.setitem(sys.modules, "xarray", None)
    with pytest.raises(ImportError, match="pip install xarray"):
        field_map(LOOP, AXES)
