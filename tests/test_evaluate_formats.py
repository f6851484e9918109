"""Every format of the neighbours, written here from a loop and a Maxwell pair whose fields are known, and read back."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from designtools import cli
from designtools.foreign import UnreadableWinding, read

MU_0 = 4e-7 * np.pi
N = 360


def call(*arguments):
    return CliRunner().invoke(cli.app, ["evaluate", *map(str, arguments)])


def circle(radius=0.15, z=0.0, n=N):
    t = np.linspace(0, 2 * np.pi, n + 1)
    return np.stack([radius * np.cos(t), radius * np.sin(t), np.full(n + 1, z)], 1)


def polygon_factor(n=N):
    """Centre field of a regular n-gon over that of the circle through its corners."""
    return n / np.pi * np.tan(np.pi / n)


CENTRE = MU_0 / (2 * 0.15) * polygon_factor()  # T/A
PAIR = [circle(z=z) for z in (0.06, -0.06)]
PAIR_CENTRE = 2 * MU_0 * 0.15**2 / 2 / (0.15**2 + 0.06**2) ** 1.5  # T/A


def centre_field(path, **options) -> float:
    return float(np.asarray(read(path, **options).source.field(np.zeros((1, 3))))[0, 2])


def rows(points, separator=",", form="%f") -> str:
    return "\n".join(separator.join(form % c for c in p) for p in points) + "\n"


# --- tables ----------------------------------------------------------------------------------------------------


def test_the_wires_of_a_halbach_gradient_designer(tmp_path):
    """One file per wire, millimetres in %f without a header; 'Join wires' makes one file."""
    for name, loop in zip("ab", PAIR):
        (tmp_path / f"wire{name}.csv").write_text(rows(1e3 * loop))
    files = [tmp_path / "wirea.csv", tmp_path / "wireb.csv"]
    done = call(*files)
    assert done.exit_code == 2 and "say in which unit they are, such as --unit mm" in done.stderr
    done = call(*files, "--unit", "mm", "--radius", "10 mm", "--json")
    record = json.loads(done.stdout)
    assert record["figures"]["central_field"]["value"] == pytest.approx(PAIR_CENTRE, rel=1e-4)
    assert record["audit"]["read"][str(files[0])] == "1 wire of 360 straight segments; lengths in mm, as --unit says; 1 A in each wire"
    assert f"{files[0]}: 1 wire of 360" in done.stderr


LAYOUTS = {
    "names in a comment": lambda: "# X (mm),\tY (mm),\tZ (mm)\n" + "\n".join(rows(1e3 * loop, ",\t") for loop in PAIR),
    "blank lines": lambda: "x[cm] y[cm] z[cm]\n" + "\n".join(rows(100 * loop, " ") for loop in PAIR),
    "several blank lines": lambda: "x_m,y_m,z_m\n" + "\n\n\n".join(rows(loop, form="%.9f") for loop in PAIR),
    "a column of wires": lambda: "Wire_ID;X [mm];Y [mm];Z [mm]\n" + "".join(f"{i};{row}\n" for i, loop in enumerate(PAIR) for row in rows(1e3 * loop, ";").splitlines()),
    "a column of wires without names": lambda: "".join(f"{i},{row}\n" for i, loop in enumerate(PAIR, 1) for row in rows(loop, form="%.9f").splitlines()),
    "rows of nan": lambda: rows(np.concatenate([PAIR[0], [[np.nan] * 3], PAIR[1]]), form="%.9f"),
    "a column of current": lambda: "x,y,z,coil,current\n" + "".join(f"{row},{i},2.0\n" for i, loop in enumerate(PAIR) for row in rows(loop, form="%.9f").splitlines()),
    "segments": lambda: "x1_mm,y1_mm,z1_mm,x2_mm,y2_mm,z2_mm\n" + "".join(rows(1e3 * np.hstack([loop[:-1], loop[1:]]), form="%.6f") for loop in PAIR),
    "a unit in the head": lambda: "# unit: mm\n# coil: pair\nx,y,z\n" + "\n".join(rows(1e3 * loop) for loop in PAIR),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts_of_tables(tmp_path, layout):
    (tmp_path / "pair.csv").write_text(LAYOUTS[layout]())
    twice = 2 if layout == "a column of current" else 1
    assert centre_field(tmp_path / "pair.csv") == pytest.approx(twice * PAIR_CENTRE, rel=1e-4)
    assert read(tmp_path / "pair.csv").source.start.shape == (2 * N, 3)


@pytest.mark.parametrize("scale, words", [(1e3, "--unit mm"), (100, "--unit mm"), (0.01, "--unit mm")])
def test_sizes_that_no_coil_has_are_asked_about(tmp_path, scale, words):
    (tmp_path / "loop.csv").write_text("x,y,z\n" + rows(scale * circle(), form="%.9f"))
    with pytest.raises(UnreadableWinding, match=words):
        read(tmp_path / "loop.csv")


def test_four_columns_without_names_are_refused_unless_they_count(tmp_path):
    (tmp_path / "loop.csv").write_text("".join(f"{row},5.0\n" for row in rows(circle(), form="%.9f").splitlines()))
    with pytest.raises(UnreadableWinding, match="four columns must have names"):
        read(tmp_path / "loop.csv")


# --- COMSOL ----------------------------------------------------------------------------------------------------


def test_a_spreadsheet_of_comsol_states_its_unit(tmp_path):
    head = "% Model:              coil.mph\n% Version:            COMSOL 6.1.0.357\n% Dimension:          3\n% Nodes:              361\n% Length unit:        mm\n% x   y   z\n"
    (tmp_path / "loop.txt").write_text(head + rows(1e3 * circle(), "   "))
    assert centre_field(tmp_path / "loop.txt") == pytest.approx(CENTRE, rel=1e-6)
    assert "lengths in mm, as the file says" in read(tmp_path / "loop.txt").note


@pytest.mark.parametrize("elements", [True, False])
def test_a_sectionwise_curve_of_comsol(tmp_path, elements):
    points = np.concatenate([PAIR[0], PAIR[1]]) if elements else circle()
    text = "%Coordinates\n" + rows(points, " ", "%.9f")
    if elements:
        pairs = [(i + 1, i + 2) for first in (0, N + 1) for i in range(first, first + N)]
        text += "%Elements\n" + "".join(f"{a} {b}\n" for a, b in pairs)
    (tmp_path / "c.txt").write_text(text)
    assert centre_field(tmp_path / "c.txt") == pytest.approx(PAIR_CENTRE if elements else CENTRE, rel=1e-4)


@pytest.mark.parametrize(
    "text, words",
    [
        ("% Model: x\n", "headers only"),
        ("%Coordinates\n0 0 0\n1 0 0\n%Elements\n1 2 3\n", "must be pairs of points"),
        ("%Coordinates\n0 0 0\n1 0 0\n%Elements\n1 7\n", "must number the points from 1 to 2"),
        ("%Coordinates\n0 0\n1 0\n", "must have three coordinates"),
        ("% x y z\n0 0 0\n1 0\n", "the same number of numbers"),
        ("%Coordinates\n%Elements\n", "three coordinates"),
    ],
)
def test_damaged_comsol_files_get_one_sentence(tmp_path, text, words):
    (tmp_path / "c.txt").write_text(text)
    done = call(tmp_path / "c.txt")
    assert done.exit_code == 2 and words in done.stderr and done.stderr.count("\n") == 1


# --- FastHenry -------------------------------------------------------------------------------------------------

SIDE = 0.2  # m
SQUARE = 2 * np.sqrt(2) * MU_0 / (np.pi * SIDE)  # T/A at the centre of a square


def square(turns="", unit="mm", scale=1e3) -> str:
    a = SIDE / 2 * scale
    nodes = [(-a, -a), (a, -a), (a, a), (-a, a), (-a, -a)]
    text = f"* a square loop\n.units {unit}\n.default z=0 sigma=5.8e4 w={scale * 1e-3} h={scale * 1e-3}\n"
    text += "".join(f"N{i} x={x:.9g}\n+ y={y:.9g}\n" for i, (x, y) in enumerate(nodes, 1))
    return text + "E1 N1 N2\nE2 N3 N2  * against the current\nE3 n3 n4 nhinc=3\nE4 N4 N5\n" + turns + ".external N1 N5 loop\n.freq fmin=1e3 fmax=1e3 ndec=1\n.end\n"


@pytest.mark.parametrize("unit, scale", [("mm", 1e3), ("M", 1.0), ("cm", 100), ("in", 1 / 0.0254), ("mils", 1e3 / 0.0254), ("um", 1e6)])
def test_a_loop_of_fasthenry_whatever_its_unit_and_the_sense_of_its_segments(tmp_path, unit, scale):
    text = square(unit=unit, scale=scale).replace("  * against the current", "")
    (tmp_path / "loop.inp").write_text(text)
    assert centre_field(tmp_path / "loop.inp", current=3.0) == pytest.approx(3 * SQUARE, rel=1e-8)


def test_currents_share_parallel_paths_by_their_resistance(tmp_path):
    """A second side of three times the section beside the first: a quarter and three quarters of the current."""
    (tmp_path / "loop.inp").write_text(square("N6 x=100 y=-100 z=0\nN7 x=100 y=100 z=0\n.equiv N2 N6\n.equiv N3 N7\nE5 N6 N7 w=3 h=1\n").replace("  * against the current", ""))
    assert np.sort(np.abs(np.asarray(read(tmp_path / "loop.inp").source.current))) == pytest.approx([0.25, 0.75, 1, 1, 1])


@pytest.mark.parametrize(
    "old, new, words",
    [
        (".external N1 N5 loop\n", "", ".external N1 N2"),
        ("E4 N4 N5", "E4 N4 N9", "got 'n9'"),
        ("E4 N4 N5\n", "", "must join the two nodes"),
        (".units mm", ".units furlong", "must be one of km, m"),
        ("z=0 sigma", "sigma", "must state z"),
        ("E1 N1 N2", "G1 x1=0 y1=0", "leave it out"),
    ],
)
def test_damaged_fasthenry_files_get_one_sentence(tmp_path, old, new, words):
    (tmp_path / "loop.inp").write_text(square().replace("  * against the current", "").replace(old, new))
    done = call(tmp_path / "loop.inp")
    assert done.exit_code == 2 and words in done.stderr and done.stderr.count("\n") == 1


# --- CAD -------------------------------------------------------------------------------------------------------


def test_lines_of_an_obj(tmp_path):
    text = "# units: mm\no pair\n" + "".join(f"v {x:.6f} {y:.6f} {z:.6f}\n" for x, y, z in 1e3 * np.concatenate(PAIR))
    text += "l " + " ".join(str(i + 1) for i in range(N + 1)) + "\n" + "l " + " ".join(str(i - N - 1) for i in range(N + 1)) + "\n"
    (tmp_path / "pair.obj").write_text(text)
    assert centre_field(tmp_path / "pair.obj") == pytest.approx(PAIR_CENTRE, rel=1e-4)
    (tmp_path / "bare.obj").write_text(text.replace("# units: mm\n", ""))
    with pytest.raises(UnreadableWinding, match="such as --unit mm"):
        read(tmp_path / "bare.obj")
    (tmp_path / "bad.obj").write_text("v 0 0 0\nv 1 0 0\nl 1 9\n")
    with pytest.raises(UnreadableWinding, match="must join vertices 1 to 2"):
        read(tmp_path / "bad.obj", unit="mm")


@pytest.mark.parametrize("ending", ["obj", "stl"])
def test_the_tube_of_a_loop(tmp_path, ending):
    import trimesh

    trimesh.creation.torus(150, 4, major_sections=90, minor_sections=8).export(tmp_path / f"t.{ending}")
    assert abs(centre_field(tmp_path / f"t.{ending}", unit="mm")) == pytest.approx(MU_0 / 0.3, rel=5e-3)


def test_an_stl_in_metres_is_asked_about(tmp_path):
    import trimesh

    trimesh.creation.torus(0.15, 0.004, major_sections=90, minor_sections=8).export(tmp_path / "t.stl")
    with pytest.raises(UnreadableWinding, match="such as --unit m"):
        read(tmp_path / "t.stl")
    assert abs(centre_field(tmp_path / "t.stl", unit="m")) == pytest.approx(MU_0 / 0.3, rel=5e-3)
