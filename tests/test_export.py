"""Every format is read back by a program that did not write it, and compared in metres."""

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
import synthetic

from designtools import result as r
from designtools.export import FORMATS, bodies, export
from designtools.export.flat import flatten
from designtools.export.names import distinct_stems, file_stem, siblings

SMALL = 1e-6


@pytest.fixture(scope="module")
def coil():
    """Two layers short enough for solids everywhere."""
    result = synthetic.gradient()
    windings = tuple(synthetic.coarse(winding) for winding in result.windings)
    return synthetic.gradient(windings=windings, source=r_assembly([w.filaments() for w in windings]))


def r_assembly(parts):
    from designtools.sources import Assembly

    return Assembly(parts)


@pytest.fixture(scope="module")
def loops():
    return synthetic.shim()


@pytest.fixture(scope="module")
def magnet():
    """One ring and two turned magnets: exact volumes."""
    from designtools.sources import Blocks, Magnets

    ring = Blocks(
        inner_radius=[0.10], outer_radius=[0.15], z_low=[-0.02], z_high=[0.05], current_density=[1e6]
    )
    cubes = Magnets(
        centre=[[0.3, 0, 0], [-0.3, 0, 0.1]],
        size=[[0.02, 0.03, 0.04], [0.01, 0.01, 0.01]],
        rotation=[[0, 0, 0.4], [0.3, 0.2, 0.1]],
        polarization=[[0, 0, 1.4], [1.4, 0, 0]],
    )
    return r.Result("magnet", "ring", "done", source=r_assembly([ring, cubes]))


RING = np.pi * (0.15**2 - 0.10**2) * 0.07
CUBES = 0.02 * 0.03 * 0.04 + 0.01**3


def size_of(result) -> np.ndarray:
    """Extent (3,) m of the centrelines."""
    return np.ptp(np.concatenate([t.points for w in result.windings for t in w.tracks]), axis=0)


def wire_length(result) -> float:
    return sum(winding.length for winding in result.windings)


# ---- the table --------------------------------------------------------------------------------------


def read_csv_size(paths) -> np.ndarray:
    import pandas

    return np.ptp(
        np.concatenate([pandas.read_csv(p, comment="#")[list("xyz")].to_numpy() for p in paths]), axis=0
    )


def read_mesh_size(paths) -> np.ndarray:
    import trimesh

    (path,) = paths
    loaded = trimesh.load(path)
    if path.suffix == ".stl":
        return loaded.extents / 1e3
    metal = [loaded.graph[n] for n in loaded.graph.nodes_geometry if not n.startswith("former")]
    points = [trimesh.transform_points(loaded.geometry[name].vertices, pose) for pose, name in metal]
    return np.ptp(np.concatenate(points), axis=0)


def read_former_size(paths) -> np.ndarray:
    import trimesh

    bodies = [trimesh.load(path) for path in paths]
    assert all(body.is_watertight for body in bodies)
    return np.max([body.extents for body in bodies], axis=0) / 1e3


def former_size(result) -> np.ndarray:
    """The outer former with half a groove upon its surface."""
    former = result.formers["shield"]
    return np.array([2 * former.radius + 2.5e-3] * 2 + [former.length])


def read_step_size(paths) -> np.ndarray:
    from OCP.Bnd import Bnd_Box
    from OCP.BRepBndLib import BRepBndLib

    box = Bnd_Box()
    BRepBndLib.Add_s(read_step(paths[0]), box, False)
    box.SetGap(0.0)
    low, high = box.CornerMin(), box.CornerMax()
    return np.array([high.X() - low.X(), high.Y() - low.Y(), high.Z() - low.Z()]) / 1e3


def read_dxf_size(paths) -> np.ndarray:
    """Width of the widest sheet, height of both with the gap."""
    import trimesh

    return np.ptp(trimesh.load(paths[0]).vertices, axis=0) / 1e3


def read_vtk_size(paths) -> np.ndarray:
    vtkXMLPolyDataReader = vtk_reader("vtkXMLPolyDataReader")

    low_high = np.reshape(read_vtk(paths[-1], vtkXMLPolyDataReader).GetBounds(), (3, 2))
    return np.diff(low_high, axis=1).ravel()


def read_netcdf_size(paths) -> np.ndarray:
    import xarray

    with xarray.open_dataset(paths[0]) as data:
        return np.array([float(np.ptp(data[f"B_per_ampere_{axis}"].values)) for axis in "xyz"])


def sheet_size(result) -> np.ndarray:
    widths = [2 * np.pi * former.radius for former in result.formers.values()]
    return np.array([max(widths), sum(former.length for former in result.formers.values()) + 0.02])


READERS = {
    "csv": (read_csv_size, size_of, 0),
    "stl": (read_mesh_size, size_of, 6e-3),
    "glb": (read_mesh_size, size_of, 6e-3),
    "former": (read_former_size, former_size, 1e-3),
    "step": (read_step_size, size_of, 6e-3),
    "dxf": (read_dxf_size, sheet_size, 5e-3),
    "vtk": (read_vtk_size, size_of, 1e-6),
    "netcdf": (read_netcdf_size, lambda _: np.full(3, 0.2), 1e-15),
}


def test_no_format_goes_unread():
    """Images and siting lines belong to other kinds of design and have tests of their own below."""
    assert set(FORMATS) == set(READERS) | {"nifti", "siting", "pockets", "pockets_step", "ledger", "shims", "kicad", "currents", "b1", "vop", "touchstone", "capacitors"}  # test_halbach, test_kicad, test_shim_shots, test_rf_files


@pytest.mark.parametrize("name", READERS)
def test_every_format_has_its_size_in_metres(name, coil, tmp_path):
    """`reach` (m): what the cross-section of the conductor, or the note on a sheet, may add to the centrelines."""
    read, expected, reach = READERS[name]
    size = read(export(coil, name, tmp_path / f"coil{FORMATS[name].extension}"))
    excess = size - expected(coil)
    assert np.all(excess >= -reach / 100 - 1e-12) and np.all(excess <= reach), excess


def test_an_unknown_format_names_the_nearest():
    with pytest.raises(ValueError, match="got 'stp'; did you mean 'step'"):
        export(r.Result("gradient", "x", "done"), "stp", "x.stp")


@pytest.mark.parametrize("name", FORMATS)
def test_an_empty_design_is_refused_in_words(name, tmp_path):
    with pytest.raises(ValueError, match=f"cannot export 'x' as {name}: "):
        export(r.Result("gradient", "x", "done"), name, tmp_path / "x")


def test_the_folder_gets_every_format_that_applies(coil, tmp_path):
    folder = r.write(coil, tmp_path / "coil")
    names = {path.name for path in (folder / "geometry").iterdir()}
    stem = "head_gradient_x"
    formers = {f"{stem}-former-primary.stl", f"{stem}-former-shield.stl"}
    solids = {f"{stem}.{ending}" for ending in ("stl", "glb", "step", "dxf")}
    assert names == {"primary.csv", "shield.csv"} | formers | solids
    assert {p.name for p in (folder / "fields").iterdir()} == {"field.nc", f"{stem}.vti", f"{stem}.vtp"}
    (again,) = r.load(folder).export("step", tmp_path / f"{stem}.step")
    assert again.read_bytes() == (folder / "geometry" / f"{stem}.step").read_bytes()


# ---- names ------------------------------------------------------------------------------------------


def test_hostile_names_stay_inside_the_folder():
    assert file_stem("../../etc/passwd") == "etc_passwd"
    assert file_stem("") == file_stem("..") == "design"
    assert "/" not in file_stem(synthetic.HOSTILE) and "\n" not in file_stem(synthetic.HOSTILE)
    assert distinct_stems(["a/b", "a b", "A b"]) == ["a_b", "a_b-2", "A_b-3"]
    assert siblings(Path("x/b0.nii.gz"), ["p", "q"]) == [Path("x/b0-p.nii.gz"), Path("x/b0-q.nii.gz")]


# ---- meshes -----------------------------------------------------------------------------------------


def test_every_stl_body_is_watertight_with_the_volume_of_the_conductor(coil, tmp_path):
    import trimesh

    (path,) = export(coil, "stl", tmp_path / "coil.stl")
    parts = trimesh.load(path).split(only_watertight=False)
    assert len(parts) == sum(len(w.tracks) for w in coil.windings)
    assert all(part.is_watertight and part.volume > 0 for part in parts)
    wound = wire_length(coil) * 4e-3 * 2e-3
    assert sum(part.volume for part in parts) / 1e9 == pytest.approx(wound, rel=0.02)


def test_stl_of_rings_and_magnets_has_their_volume(magnet, tmp_path):
    import trimesh

    (path,) = export(magnet, "stl", tmp_path / "ring.stl")
    mesh = trimesh.load(path)
    polygon = np.sinc(2 / 128)  # area of the regular 128-gon relative to its circle
    assert mesh.volume / 1e9 == pytest.approx(RING * polygon + CUBES, rel=1e-5)


def test_glb_names_its_nodes_and_keeps_formers_translucent(coil, tmp_path):
    import trimesh

    (path,) = export(coil, "glb", tmp_path / "coil.glb")
    scene = trimesh.load(path)
    names = set(scene.graph.nodes_geometry)
    assert {"primary 1", "shield 1", "former primary", "former shield"} <= names
    assert scene.geometry["former primary"].visual.material.alphaMode == "BLEND"


# ---- STEP, read by Open CASCADE ---------------------------------------------------------------------


def read_step(path):
    from OCP.IFSelect import IFSelect_RetDone
    from OCP.STEPControl import STEPControl_Reader

    reader = STEPControl_Reader()
    assert reader.ReadFile(str(path)) == IFSelect_RetDone
    reader.TransferRoots()
    return reader.OneShape()


def step_measure(shape, what: str, kind: str, *, inside: bool) -> list[float]:
    """Lengths (m) or volumes (m3) of every edge or solid; edges `inside` solids or the free ones."""
    from OCP import TopAbs
    from OCP.BRepGProp import BRepGProp
    from OCP.GProp import GProp_GProps
    from OCP.TopExp import TopExp_Explorer

    avoid = () if inside else (TopAbs.TopAbs_FACE,)
    walk = TopExp_Explorer(shape, getattr(TopAbs, f"TopAbs_{kind}"), *avoid)
    out = []
    while walk.More():
        properties = GProp_GProps()
        getattr(BRepGProp, f"{what}Properties_s")(walk.Current(), properties)
        out.append(properties.Mass() / (1e3 if what == "Linear" else 1e9))
        walk.Next()
    return out


def test_step_wires_have_the_length_of_the_tracks(coil, tmp_path):
    shape = read_step(export(coil, "step", tmp_path / "coil.step")[0])
    expected = [track.length for w in coil.windings for track in w.tracks]
    assert sorted(step_measure(shape, "Linear", "EDGE", inside=False)) == pytest.approx(
        sorted(expected), rel=SMALL
    )


def test_step_conductors_are_solids_with_the_volume_of_the_mesh(coil, tmp_path):
    shape = read_step(export(coil, "step", tmp_path / "coil.step")[0])
    expected = [body.mesh.volume for body in bodies.solids(coil)]
    assert sorted(step_measure(shape, "Volume", "SOLID", inside=True)) == pytest.approx(
        sorted(expected), rel=SMALL
    )


def test_step_loops_are_true_circles(loops, tmp_path):
    shape = read_step(export(loops, "step", tmp_path / "loops.step")[0])
    assert step_measure(shape, "Linear", "EDGE", inside=False) == pytest.approx(
        [2 * np.pi * 0.03] * 16, rel=SMALL
    )


def test_step_rings_and_magnets_are_exact_and_valid(magnet, tmp_path):
    from OCP.BRepCheck import BRepCheck_Analyzer

    shape = read_step(export(magnet, "step", tmp_path / "ring.step")[0])
    assert BRepCheck_Analyzer(shape).IsValid()
    volumes = step_measure(shape, "Volume", "SOLID", inside=True)
    assert sorted(volumes) == pytest.approx(sorted([RING, 0.02 * 0.03 * 0.04, 0.01**3]), rel=SMALL)


def test_step_products_carry_the_names(tmp_path):
    winding, former = synthetic.winding("é'\\primär")
    result = r.Result("gradient", "x", "done", windings=(synthetic.coarse(winding),), formers={"a": former})
    (path,) = export(result, "step", tmp_path / "x.step")
    text = path.read_text(encoding="ascii")
    assert r"PRODUCT('\X2\00E9\X0\''\\prim\X2\00E4\X0\r'" in text
    assert len(step_measure(read_step(path), "Linear", "EDGE", inside=False)) == len(winding.tracks)


def test_long_windings_go_as_wires_only(tmp_path):
    result = synthetic.gradient()
    shape = read_step(export(result, "step", tmp_path / "x.step")[0])
    assert step_measure(shape, "Volume", "SOLID", inside=True) == []


# ---- the flat pattern -------------------------------------------------------------------------------


def test_flat_pattern_keeps_the_length_and_stays_on_the_sheet():
    winding, former = synthetic.winding()
    flat = flatten(winding, former)
    assert flat.width == pytest.approx(2 * np.pi * 0.15)
    assert (flat.low, flat.high) == (-0.2, 0.2)
    assert all(
        points[:, 0].min() >= -1e-12 and points[:, 0].max() <= flat.width + 1e-12 for _, points in flat.pieces
    )
    length = sum(np.linalg.norm(np.diff(points, axis=0), axis=1).sum() for _, points in flat.pieces)
    assert length == pytest.approx(winding.length, rel=1e-4)  # chord and arc differ by (du)^2 / 24


def test_the_cut_avoids_the_turns_and_a_forced_one_splits_them():
    winding, former = synthetic.winding()
    free, forced = flatten(winding, former), flatten(winding, former, cut=0.0)
    count = sum(len({"jog", "turn"} & set(track.roles)) for track in winding.tracks)
    assert len(free.pieces) == count
    ends = [p[[0, -1], 0] for _, p in forced.pieces]
    assert len(forced.pieces) > count
    assert (
        sum(np.isclose(e, 0, atol=1e-12).sum() + np.isclose(e, forced.width, atol=1e-12).sum() for e in ends)
        >= 16
    )
    length = [
        sum(np.linalg.norm(np.diff(p, axis=0), axis=1).sum() for _, p in f.pieces) for f in (free, forced)
    ]
    assert length[0] == pytest.approx(length[1], rel=1e-12)


def test_dxf_is_in_millimetres_with_a_layer_per_winding_and_role(coil, tmp_path):
    import ezdxf

    result = synthetic.gradient()
    (path,) = export(result, "dxf", tmp_path / "coil.dxf")
    document = ezdxf.readfile(path)
    assert not document.audit().errors and document.units == ezdxf.units.MM
    layers = {entity.dxf.layer for entity in document.modelspace()}
    wanted = [
        f"{w}-{part}" for w in ("primary", "shield") for part in ("turn", "jog", "outline", "cut", "note")
    ]
    assert layers == set(wanted)


def test_dxf_tracks_have_the_length_of_the_tracks(tmp_path):
    """Read by trimesh, which has its own DXF reader."""
    import trimesh

    result = synthetic.gradient()
    path = trimesh.load(export(result, "dxf", tmp_path / "coil.dxf")[0])
    tracks = [e for e in path.entities if str(e.layer).endswith(("-TURN", "-JOG"))]
    assert sum(e.length(path.vertices) for e in tracks) / 1e3 == pytest.approx(wire_length(result), rel=1e-4)


def test_dxf_loops_stand_in_space(loops, tmp_path):
    import ezdxf

    (path,) = export(loops, "dxf", tmp_path / "loops.dxf")
    circles = ezdxf.readfile(path).modelspace().query("CIRCLE")
    centres = np.array([circle.ocs().to_wcs(circle.dxf.center) for circle in circles]) / 1e3
    assert np.allclose(centres, loops.source.parts[0].centre, atol=1e-9)
    assert {circle.dxf.radius for circle in circles} == {30.0}


# ---- fields -----------------------------------------------------------------------------------------


def vtk_reader(kind: str):
    """A reader class of VTK, 560 MB installed: a test extra of its own, see .ci/run."""
    return getattr(pytest.importorskip("vtkmodules.vtkIOXML", reason="needs the package vtk: uv run --with vtk pytest tests/test_export.py"), kind)


def read_vtk(path, reader_class):
    reader = reader_class()
    reader.SetFileName(str(path))
    reader.Update()
    return reader.GetOutput()


def test_vtk_image_holds_the_vectors_at_their_places(coil, tmp_path):
    vtkXMLImageDataReader = vtk_reader("vtkXMLImageDataReader")
    from vtkmodules.util.numpy_support import vtk_to_numpy

    (field_map,) = coil.maps
    image = read_vtk(export(coil, "vtk", tmp_path / "coil.vti")[0], vtkXMLImageDataReader)
    assert image.GetDimensions() == (9, 11, 13)
    array = image.GetPointData().GetArray(0)
    assert array.GetName() == "B per ampere [T]"
    index = (2, 7, 5)
    point = image.ComputePointId(index)
    assert np.allclose(image.GetPoint(point), [a[i] for a, i in zip(field_map.axes, index)], atol=1e-15)
    assert np.array_equal(vtk_to_numpy(array)[point], field_map.values[index])


def test_vtk_image_follows_the_affine(loops, tmp_path):
    vtkXMLImageDataReader = vtk_reader("vtkXMLImageDataReader")

    first, second = export(loops, "vtk", tmp_path / "shim.vti")
    assert (first.name, second.name) == ("shim-b0.vti", "shim-b0_shimmed.vti")
    image = read_vtk(first, vtkXMLImageDataReader)
    expected = loops.maps[0].affine @ [3, 4, 5, 1]
    assert np.allclose(np.array(image.GetPoint(image.ComputePointId((3, 4, 5)))) * 1e3, expected[:3])
    assert (
        image.GetPointData().GetArray(0).GetTuple1(image.ComputePointId((3, 4, 5)))
        == loops.maps[0].values[3, 4, 5]
    )


def test_vtk_tracks_are_lines_with_their_layer(coil, tmp_path):
    vtkXMLPolyDataReader = vtk_reader("vtkXMLPolyDataReader")
    from vtkmodules.util.numpy_support import vtk_to_numpy

    lines = read_vtk(export(coil, "vtk", tmp_path / "coil.vti")[-1], vtkXMLPolyDataReader)
    tracks = [track for winding in coil.windings for track in winding.tracks]
    assert lines.GetNumberOfCells() == len(tracks)
    assert np.array_equal(vtk_to_numpy(lines.GetCell(3).GetPoints().GetData()), tracks[3].points)
    assert vtk_to_numpy(lines.GetCellData().GetArray("layer")).tolist() == [0] * 16 + [1] * 12


def test_uneven_axes_are_refused_by_vtk(tmp_path):
    uneven = r.FieldMap(
        "b", (np.array([0, 1, 3.0]), np.arange(2.0), np.arange(2.0)), np.zeros((3, 2, 2)), "T"
    )
    with pytest.raises(ValueError, match="equally spaced"):
        export(r.Result("magnet", "x", "done", maps=(uneven,)), "vtk", tmp_path / "x.vti")


def test_netcdf_opens_in_xarray_with_units_and_frame(coil, tmp_path):
    import xarray

    (path,) = export(coil, "netcdf", tmp_path / "field.nc")
    with xarray.open_dataset(path) as data:
        variable = data["B_per_ampere"]
        assert variable.attrs["units"] == "T" and data["B_per_ampere_x"].attrs["units"] == "m"
        assert (data.attrs["b0_axis"], data.attrs["bore_axis"]) == ("z", "z")
        assert variable.dims == ("B_per_ampere_x", "B_per_ampere_y", "B_per_ampere_z", "component")
        assert np.array_equal(variable.values, coil.maps[0].values)


def test_nifti_keeps_affine_and_values(loops, tmp_path):
    """Read from the bytes: sizes, spacing and sform as the NIfTI-1 standard places them."""
    first, second = export(loops, "nifti", tmp_path / "b0.nii.gz")
    assert (first.name, second.name) == ("b0.nii.gz", "b0-b0_shimmed.nii.gz")
    raw = gzip.decompress(first.read_bytes())
    assert struct.unpack_from("<8h", raw, 40)[:4] == (3, 5, 6, 7)
    assert struct.unpack_from("<B", raw, 123)[0] & 7 == 2  # millimetres
    assert struct.unpack_from("<h", raw, 254)[0] > 0  # the sform counts
    assert np.allclose(np.reshape(struct.unpack_from("<12f", raw, 280), (3, 4)), loops.maps[0].affine[:3])
    slanted = np.hypot(1.8, 0.6)
    assert np.allclose(struct.unpack_from("<3f", raw, 80), (2.0, slanted, slanted))  # voxel size in mm
    offset = int(struct.unpack_from("<f", raw, 108)[0])
    values = np.frombuffer(raw, "<f4", count=210, offset=offset).reshape(5, 6, 7, order="F")
    assert np.array_equal(values, loops.maps[0].values)


# ---- siting -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def small_magnet():
    """A single loop: far away a dipole."""
    from designtools.sources import Loops

    loop = Loops(centre=[[0, 0, 0.0]], normal=[[0, 0, 1]], radius=[0.05], current=[2e5])
    return r.Result("magnet", "one loop", "done", source=r_assembly([loop]))


def test_siting_lines_reach_as_far_as_the_dipole(small_magnet, tmp_path):
    import ezdxf
    import pandas

    files = export(small_magnet, "siting", tmp_path / "one.svg")
    assert [path.name for path in files[:4]] == ["one-0p5mT.csv", "one-0p9mT.csv", "one.dxf", "one.svg"]
    moment = np.pi * 0.05**2 * 2e5
    for path, level in zip(files, (0.5e-3, 0.9e-3)):
        line = pandas.read_csv(path, comment="#")
        assert line["along"].abs().max() == pytest.approx((2e-7 * moment / level) ** (1 / 3), rel=5e-3)
        assert line["across"].abs().max() == pytest.approx((1e-7 * moment / level) ** (1 / 3), rel=2e-2)
        points = np.column_stack([line["across"], 0 * line["across"], line["along"]])
        assert np.linalg.norm(small_magnet.source.field(points), axis=1) == pytest.approx(level, rel=2e-3)
    drawn = ezdxf.readfile(files[2]).modelspace().query('LWPOLYLINE[layer=="0p5mT"]')
    tall = max(abs(y) for polyline in drawn for _, y in polyline.get_points("xy"))
    assert tall / 1e3 == pytest.approx((2e-7 * moment / 0.5e-3) ** (1 / 3), rel=5e-3)


def test_siting_picture_is_well_formed_and_escaped(small_magnet, tmp_path):
    import dataclasses
    from xml.etree import ElementTree

    result = dataclasses.replace(small_magnet, name=synthetic.HOSTILE)
    picture = ElementTree.parse(export(result, "siting", tmp_path / "x.svg")[3]).getroot()
    assert picture.attrib["width"].endswith("mm")
    lines = [path for path in picture.iter("{http://www.w3.org/2000/svg}path") if path.attrib["class"] == "0p5mT"]
    assert not list(picture.iter("script")) and len(lines) == 3  # one in every view


def test_a_homogeneous_field_has_no_siting_line(tmp_path):
    from designtools.sources import Filaments, Uniform

    wire = Filaments.from_path([[0, 0, 0], [0, 0, 0.1], [0, 0.1, 0]], closed=True)
    result = r.Result("magnet", "x", "done", source=r_assembly([wire, Uniform(flux_density=[0, 0, 1.0])]))
    with pytest.raises(ValueError, match="a homogeneous part keeps the field above every level"):
        export(result, "siting", tmp_path / "x.svg")
