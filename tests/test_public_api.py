"""What scripts elsewhere rely on: the public names, as a user writes them, checked against closed forms."""

import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import designtools as dt

SPECS = Path(__file__).parent.parent / "specs"
MU_0 = 4e-7 * np.pi
POINTS = np.array([[0.0, 0.0, 0.0], [0.02, -0.01, 0.05], [0.7, 0.2, -0.4]])


def python(code: str) -> str:
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


# --- sources and what is asked of them -------------------------------------------------------------------


@pytest.fixture
def loop():
    return dt.Loops(centre=[[0, 0, 0.1]], normal=[[0, 0, 1]], radius=[0.3], current=[100.0])


@pytest.fixture
def wire():
    t = np.linspace(0, 2 * np.pi, 721)
    return dt.Filaments.from_path(np.stack([0.3 * np.cos(t), 0.3 * np.sin(t), 0 * t + 0.1], 1), current=100.0)


@pytest.fixture
def blocks():
    return dt.Blocks(inner_radius=[0.5], outer_radius=[0.55], z_low=[-0.2], z_high=[0.2], current_density=[1e8])


@pytest.fixture
def cubes():
    return dt.Magnets(centre=[[0, 0, 0.3]], size=[[0.1, 0.1, 0.1]], rotation=[[0, 0, 0]], polarization=[[0, 0, 1.3]])


@pytest.fixture
def sheet():
    """A square of side 0.2 m with a pyramid of stream function: 10 A around its middle."""
    v = 0.1 * np.array([[-1, -1, -1], [1, -1, -1], [1, 1, -1], [-1, 1, -1], [0, 0, -1]], float)
    return dt.Sheet(vertices=v, faces=[[0, 1, 4], [1, 2, 4], [2, 3, 4], [3, 0, 4]], stream=[0, 0, 0, 0, 10.0])


@pytest.fixture(params=["loop", "wire", "blocks", "cubes", "sheet", "both"])
def source(request):
    if request.param == "both":
        return dt.Assembly([request.getfixturevalue("loop"), request.getfixturevalue("wire")])
    return request.getfixturevalue(request.param)


def test_every_source_answers_in_float64_arrays(source):
    for points in (POINTS, jnp.asarray(POINTS), POINTS.tolist()):
        field, potential, slope = source.field(points), source.potential(points), dt.field_gradient(source, points)
        assert field.shape == potential.shape == (3, 3) and slope.shape == (3, 3, 3)
        assert field.dtype == potential.dtype == slope.dtype == np.float64
    assert np.trace(np.asarray(slope), axis1=1, axis2=2) == pytest.approx(0, abs=1e-9 * np.abs(slope).max())


def test_the_field_is_the_curl_of_the_potential(source):
    points = POINTS[1:] + [0.0, 0.0, -0.02]
    slope = np.stack([np.asarray(jax.jacfwd(lambda p: source.potential(p[None])[0])(p)) for p in points])
    curl = np.stack([slope[:, 2, 1] - slope[:, 1, 2], slope[:, 0, 2] - slope[:, 2, 0], slope[:, 1, 0] - slope[:, 0, 1]], 1)
    field = np.asarray(source.field(points))
    assert curl == pytest.approx(field, abs=1e-8 * np.abs(field).max())


def test_a_loop_and_a_wire_of_its_shape(loop, wire):
    on_axis = MU_0 * 100 * 0.3**2 / 2 / (0.3**2 + 0.1**2) ** 1.5
    assert loop.field([[0, 0, 0]])[0] == pytest.approx([0, 0, on_axis], rel=1e-13)
    both = dt.Assembly([loop, wire])
    assert both.field([[0, 0, 0]])[0, 2] == pytest.approx(2 * on_axis, rel=1e-4)


def test_inductance_of_circuits(loop):
    far = dt.Loops(centre=[[0, 0, 3.1]], normal=[[0, 0, 1]], radius=[0.3], current=[100.0])
    matrix = np.asarray(dt.inductance([loop, far], wire_radius=1e-3))
    assert matrix.shape == (2, 2) and matrix[0, 1] == matrix[1, 0]
    assert matrix[0, 1] == pytest.approx(MU_0 * np.pi * 0.3**4 / (2 * 3**3), rel=0.05)  # two dipoles on an axis
    assert matrix[0, 0] == pytest.approx(MU_0 * 0.3 * (np.log(8 * 0.3 / 1e-3) - 1.75), rel=1e-3)


def test_force_and_torque_between_sources(loop):
    uniform = dt.Uniform([0.5, 0, 0])
    assert np.asarray(dt.force(loop, uniform)) == pytest.approx(0, abs=1e-10)
    moment = 100 * np.pi * 0.3**2
    assert np.asarray(dt.torque(loop, uniform)) == pytest.approx([0, moment * 0.5, 0], abs=1e-9)
    other = dt.Loops(centre=[[0, 0, 0.4]], normal=[[0, 0, 1]], radius=[0.3], current=[100.0])
    push = np.asarray(dt.force(loop, other))
    assert push[2] > 0  # like currents attract
    assert push == pytest.approx(-np.asarray(dt.force(other, loop)), rel=1e-9, abs=1e-12)


def test_harmonics_are_a_table_of_coefficients(loop):
    table = dt.harmonics(loop, 0.1, 6, "z")
    assert table.cosine.shape == table.sine.shape == (7, 7)
    assert float(table.cosine[0, 0]) == pytest.approx(float(loop.field([[0, 0, 0]])[0, 2]), rel=1e-12)


def test_fringe_extent_of_a_magnet(blocks):
    fringe = dt.fringe_extent(blocks, level=5e-4)
    at = np.asarray(blocks.field([[0, 0, fringe.axial], [fringe.radial, 0, 0]]))
    assert np.linalg.norm(at, axis=1) == pytest.approx(5e-4, rel=1e-3)
    assert fringe.area > 0 and fringe.volume > 0


def test_magpylib_there_and_back(source):
    found = dt.to_magpylib(source)
    points = POINTS[:2]
    judged = np.asarray(found.getB(points)).reshape(-1, 3)
    assert np.asarray(source.field(points)) == pytest.approx(judged, rel=1e-8, abs=1e-9 * np.abs(judged).max())
    assert np.asarray(dt.from_magpylib(found).field(points)) == pytest.approx(judged, rel=1e-8, abs=1e-9 * np.abs(judged).max())


# --- leaves ----------------------------------------------------------------------------------------------


def test_gradient_through_a_current():
    points = POINTS[:2]
    f = lambda current: dt.Loops(centre=[[0, 0, 0.1]], normal=[[0, 0, 1]], radius=[0.3], current=current).field(points)[:, 2].sum()
    slope = jax.grad(f)(np.array([100.0]))
    assert slope.dtype == np.float64
    assert float(slope[0]) == pytest.approx(float(f([1.0])), rel=1e-13)  # the field is linear in the current


def test_every_leaf_has_a_derivative(source):
    """Forward derivative along a random direction of all leaves against a central difference."""
    leaves, tree = jax.tree_util.tree_flatten(source)
    leaves = [jnp.asarray(leaf) for leaf in leaves]
    draw = np.random.default_rng(3)
    steps = [1e-2 * draw.standard_normal(l.shape) if l.dtype == np.float64 else np.zeros(l.shape, jax.dtypes.float0) for l in leaves]
    assert sum(l.dtype == np.float64 for l in leaves) >= 2
    f = lambda values: jax.tree_util.tree_unflatten(tree, values).field(POINTS)
    slope = jax.jvp(f, (leaves,), (steps,))[1]
    moved = lambda h: f([l + h * s if l.dtype == np.float64 else l for l, s in zip(leaves, steps)])
    difference = (moved(1e-5) - moved(-1e-5)) / 2e-5
    assert np.asarray(slope) == pytest.approx(np.asarray(difference), abs=1e-6 * np.abs(difference).max())


def test_leaves_can_be_mapped_over():
    make = lambda z, current: dt.Loops(centre=jnp.array([[0.0, 0.0, 1.0]]) * z, normal=[[0, 0, 1]], radius=[0.3], current=current[None])
    fields = jax.vmap(lambda z, i: make(z, i).field(POINTS))(np.linspace(0, 0.1, 4), np.arange(4.0))
    assert fields.shape == (4, 3, 3)
    assert np.asarray(fields[2]) == pytest.approx(np.asarray(make(0.2 / 3, np.float64(2)).field(POINTS)), rel=1e-13)


LOOP = "dt.Loops(centre=[[0, 0, 0.1]], normal=[[0, 0, 1]], radius=[0.3], current=current).field(np.zeros((1, 3)))[:, 2].sum()"


@pytest.mark.parametrize(
    "head",
    [
        "import designtools as dt, numpy as np, jax",
        "import jax, numpy as np, designtools as dt",
        "import jax, jax.numpy as jnp, numpy as np; jnp.ones(3) + 1; import designtools as dt",
        "import designtools.units; import jax, numpy as np; import designtools as dt",
    ],
)
def test_results_are_float64_whatever_is_imported_first(head):
    code = f"{head}\nf = lambda current: {LOOP}\nvalue = f([100.0])\nprint(jax.grad(f)(np.array([100.0])).dtype, value.dtype)"
    assert python(code) == "float64 float64"


def test_a_first_use_inside_a_transformation_is_refused_in_words():
    code = f"import jax, numpy as np, designtools as dt\ntry:\n    jax.grad(lambda current: {LOOP})(np.array([100.0]))\nexcept dt.precision.PrecisionError as e:\n    print(e)"
    assert "call designtools.precision.enable()" in python(code)


def test_a_source_refuses_32_bit_in_words():
    code = "from designtools.sources import Uniform\ntry:\n    Uniform([0, 0, 1.0])\nexcept RuntimeError as e:\n    print(e)"
    assert python(code).startswith("Uniform needs 64-bit arithmetic")


def test_importing_changes_nothing():
    code = "import os; before = dict(os.environ); import designtools, sys; print('jax' in sys.modules, before == dict(os.environ))"
    assert python(code) == "False True"
    assert python("import jax; import designtools; print(jax.config.jax_enable_x64)") == "False"


# --- specs and results -----------------------------------------------------------------------------------

QUICK = {"mesh.resolution": "40 mm", "winding.turns": 6, "audit.points": 200, "stray": None, "magnet": None, "requirements": []}


@pytest.fixture(scope="module")
def design(tmp_path_factory):
    out = tmp_path_factory.mktemp("api") / "out"
    return dt.run(SPECS / "head_gradient_x.yaml", out=f"{out}/", overrides={"shield.enabled": False} | QUICK)


def test_a_design_has_figures_with_units_and_methods(design):
    figure = design.figures["efficiency"]
    assert figure.unit == "T/m/A" and figure.method and 1e-5 < figure.value < 1e-3
    assert design.status in ("done", "requirement missed")
    assert [w.name for w in design.windings] == ["primary"]


def test_the_source_of_a_design_is_its_wires(design):
    field = np.asarray(design.source.field([[0.01, 0, 0], [-0.01, 0, 0]]))
    assert field.dtype == np.float64
    assert (field[0, 2] - field[1, 2]) / 0.02 == pytest.approx(design.figures["gradient_strength"].value, rel=0.05)
    assert dt.inductance([design.source], wire_radius=1e-3).shape == (1, 1)


def test_a_design_exports_and_loads(design, tmp_path):
    (written,) = design.export("step", tmp_path / "winding.step")
    assert written.read_text().startswith("ISO-10303-21")
    again = dt.load(design.folder)
    assert again.figures["efficiency"].value == design.figures["efficiency"].value
    assert np.asarray(again.source.field(POINTS)) == pytest.approx(np.asarray(design.source.field(POINTS)), rel=1e-12, abs=1e-15)


def test_run_never_overwrites(design):
    with pytest.raises(FileExistsError, match="new or empty"):
        dt.run(SPECS / "head_gradient_x.yaml", out=design.folder, overrides=QUICK)


def test_run_refuses_a_bad_spec_in_words():
    with pytest.raises(dt.SpecError, match="shield.enabld: must be a known key"):
        dt.run(SPECS / "head_gradient_x.yaml", overrides={"shield.enabld": False})
