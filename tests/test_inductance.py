"""Inductance between any two sources: closed forms, independent integrals, two routes to the energy, derivatives."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.integrate
import scipy.special
import trimesh

from designtools.inductance import _integral, flux_linkage, inductance, stored_energy
from designtools.kernels.cells import adaptive_nodes
from designtools.sources import (
    Arcs, Assembly, Blocks, Dipoles, Filaments, Loops, Magnets, Posed, Sheet, Solenoids, Strips, Uniform,
)  # fmt: skip
from designtools.units import MU_0

RING = Loops([[0, 0, 0]], [[0, 0, 1]], [0.5], [2.0])
TILTED = Loops([[0.1, 0.2, 0.3]], [[0, 1, 1]], [0.4], [3.0])
SOLENOID = Solenoids([[0, 0, 0]], [[0, 0, 0]], [0.1], [0.3], [5.0])
BLOCK = Blocks([0.3], [0.4], [-0.1], [0.2], [1e6])
STRIP = Strips([[0, 0, 0]], [[1.0, 0, 0]], [[0, 0.1, 0]], [1.0])
RADIUS = 1e-3


def ball(height=0.0):
    mesh = trimesh.creation.icosphere(subdivisions=1, radius=0.3)
    vertices = np.array(mesh.vertices)
    return Sheet(vertices + [0, 0, height], mesh.faces, 100 * vertices[:, 2] / 0.3)


def mutual(a, b, **settings):
    return float(inductance([a, b], [RADIUS, RADIUS], **settings)[0, 1])


def in_batches(function, points, size=256):
    """Values at points (P,3), of one shape after the other, so that one program is compiled."""
    rows = range(0, len(points), size)
    padded = np.pad(points, [(0, -len(points) % size), (0, 0)], mode="edge")
    return np.concatenate([np.asarray(function(padded[k : k + size])) for k in rows])[: len(points)]


def lorenz(radius, length):
    """Self-inductance of a thin solenoid, one turn (Lorenz 1879)."""
    m = 4 * radius**2 / (4 * radius**2 + length**2)
    e, k = scipy.special.ellipe(m), scipy.special.ellipk(m)
    return 8 * MU_0 * radius**3 / (3 * length**2) * ((2 * m - 1) / m**1.5 * e + (1 - m) / m**1.5 * k - 1)


@pytest.mark.parametrize("length", [0.02, 2.0])
@pytest.mark.parametrize("rotation", [[0, 0, 0], [0.4, 1, 0]], ids=["straight", "turned"])
def test_solenoid_itself_by_lorenz(length, rotation):
    source = Solenoids([[0.2, 0.3, 0]], [rotation], [0.1], [length], [1.0])
    assert float(inductance([source])[0, 0]) == pytest.approx(lorenz(0.1, length), rel=1e-9)


def test_nested_solenoids_by_bessel_functions():
    """M = 8 mu0 a b/(l m) times the integral of I1(ka) K1(kb) sin(kl/2) sin(km/2)/k2 (Fourier along the axis)."""
    a, b, length, other = 0.1, 0.16, 0.3, 0.4

    def integrand(k):
        waves = np.sin(k * length / 2) * np.sin(k * other / 2) / k**2
        return scipy.special.ive(1, k * a) * scipy.special.kve(1, k * b) * np.exp(k * (a - b)) * waves

    value = scipy.integrate.quad(integrand, 1e-12, 600, limit=2000, epsabs=0, epsrel=1e-12)[0]
    outer = Solenoids([[0, 0, 0]], [[0, 0, 0]], [b], [other], [1.0])
    exact = 8 * MU_0 * a * b / (length * other) * value
    assert mutual(SOLENOID, outer, tolerance=1e-10) == pytest.approx(exact, rel=1e-10)


def test_tilted_loops_by_neumann():
    """Double trapezium rule, which converges geometrically on circles."""
    phi = 2 * np.pi * np.arange(400) / 400
    c, s, zero = np.cos(phi), np.sin(phi), 0 * phi
    first = np.stack([0.5 * c, 0.5 * s, zero], 1), np.stack([-0.5 * s, 0.5 * c, zero], 1)
    x, y = np.array([1.0, 0, 0]), np.array([0, 1, -1]) / np.sqrt(2)  # x cross y is the normal, (0, 1, 1)/sqrt(2)
    second = np.array([0.1, 0.2, 0.3]) + 0.4 * (np.outer(c, x) + np.outer(s, y)), 0.4 * (np.outer(c, y) - np.outer(s, x))
    inverse = 1 / np.linalg.norm(first[0][:, None] - second[0], axis=2)
    exact = MU_0 / (4 * np.pi) * (2 * np.pi / 400) ** 2 * np.sum(inverse * (first[1] @ second[1].T))
    assert mutual(RING, TILTED) == pytest.approx(exact, rel=1e-11)
    whole = Arcs([[0, 0, 0]], [[0, 0, 0]], [0.5], [0.3], [0.3 + 2 * np.pi], [1.0])
    assert mutual(whole, TILTED) == pytest.approx(exact, rel=1e-11)


@pytest.mark.parametrize("pair", [(TILTED, SOLENOID), (TILTED, BLOCK), (STRIP, Posed(RING, [0.3, 0, 0.8], [0.5, 0, 0])), (ball(), Posed(RING, [0, 0, 0.6], [0.2, 0, 0]))],
                         ids=["loop-solenoid", "loop-block", "strip-loop", "sheet-loop"])  # fmt: skip
def test_reciprocity(pair):
    """The potential of either along the other."""
    a, b = pair
    one, other = (float(_integral(p, q.potential, (q,), 1e-9)) for p, q in ((a, b), (b, a)))
    assert one == pytest.approx(other, rel=1e-8)


@pytest.mark.parametrize("source", [SOLENOID, BLOCK, Blocks([0.3], [0.3003], [-0.2], [0.2], [1e6])], ids=["solenoid", "block", "thin block"])
def test_energy_by_the_virial(source):
    """Half the integral of A.J is the integral of r.(J x B): from A and from B (Landau & Lifshitz, vol. 8, sec. 33)."""
    solid = isinstance(source, Blocks)
    inner, outer, low, high = (0.1, 0.1, -0.15, 0.15) if not solid else [float(leaf[0]) for leaf in jax.tree_util.tree_leaves(source)[:4]]
    flow = 1e6 * (outer - inner) * (high - low) if solid else 5.0

    def integrand(_, t):
        r = inner + t[:, 0] * (outer - inner)
        z = low + t[:, -1] * (high - low)
        field = in_batches(source.field, np.stack([r, 0 * r, z], 1))
        return 2 * np.pi * r * flow * (r * field[:, 2] - z * field[:, 0])

    *_, weight, values = adaptive_nodes(integrand, 1, 2 if solid else 1, 1e-10)
    assert float(stored_energy(source, tolerance=1e-11)) == pytest.approx(weight @ values, rel=1e-10)


def test_strip_by_pairs_of_faces_and_by_its_potential():
    by_potential = float(_integral(STRIP, STRIP.potential, (STRIP,), 1e-8))
    assert float(inductance([STRIP])[0, 0]) == pytest.approx(by_potential, rel=3e-8)


def test_pieces_of_a_wire_make_the_wire():
    """A ring cut in two arcs; half rings with straight pieces between, against a polygon of many sides."""
    halves = Arcs(2 * [[0, 0, 0]], 2 * [[0, 0, 0]], [0.5, 0.5], [0.0, 2.0], [2.0, 2 * np.pi], [1.0, 1.0])
    assert float(inductance([halves], RADIUS)[0, 0]) == pytest.approx(float(inductance([RING], RADIUS)[0, 0]), rel=1e-6)
    bends = Arcs([[0.2, 0, 0], [-0.2, 0, 0]], 2 * [[0, 0, 0]], [0.1, 0.1], [-np.pi / 2, np.pi / 2], [np.pi / 2, 1.5 * np.pi], [1.0, 1.0])
    legs = Filaments([[0.2, 0.1, 0], [-0.2, -0.1, 0]], [[-0.2, 0.1, 0], [0.2, -0.1, 0]], [1.0, 1.0])
    phi = np.linspace(-np.pi / 2, np.pi / 2, 201)
    right = np.stack([0.2 + 0.1 * np.cos(phi), 0.1 * np.sin(phi), 0 * phi], 1)
    polygon = Filaments.from_path(np.concatenate([right, -right * [1, 1, 0]]), closed=True)
    whole = float(inductance([Assembly([bends, legs])], RADIUS)[0, 0])
    assert whole == pytest.approx(float(inductance([polygon], RADIUS, tolerance=1e-5)[0, 0]), rel=3e-4)


def test_flux_of_magnets_and_uniform_fields():
    """Dipole on the axis: mu0 m a2/(2 (a2 + z2)^1.5); a cube: its sheet of bound current in its place."""
    dipole = Dipoles([[0, 0, 0.3]], [[0, 0, 7.0]])
    exact = MU_0 * 7 * 0.25 / (2 * (0.25 + 0.09) ** 1.5)
    assert float(flux_linkage(RING, dipole)) == pytest.approx(exact, rel=1e-11)
    assert float(flux_linkage(RING, Uniform([0.3, 0, 1.5]))) == pytest.approx(1.5 * np.pi * 0.25, rel=1e-11)
    cube = Magnets([[0, 0, 0]], [[0.1, 0.1, 0.1]], [[0, 0, 0]], [[0, 0, 1.2]])
    sides = np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]]) * 0.05
    ends = np.roll(sides, -1, axis=0)
    flat = lambda xy: np.column_stack([xy, np.zeros(4)])
    mantle = Strips(flat(sides), flat(ends), 4 * [[0, 0, 0.1]], 4 * [1.2 * 0.1 / MU_0])  # J/mu0 per metre of height
    assert float(flux_linkage(TILTED, cube)) == pytest.approx(float(flux_linkage(TILTED, mantle)), rel=1e-9)


def test_energy_goes_with_the_size_in_value_and_slope():
    """W of given currents is linear in the scale: the derivative by every vertex at once is W itself."""
    sheet = ball()
    energy = lambda scale: stored_energy(Sheet(sheet.vertices * scale, sheet.faces, sheet.stream), tolerance=1e-6)
    value, slope = jax.value_and_grad(energy)(1.0)
    assert float(slope) == pytest.approx(float(value), rel=1e-9)
    assert float(jax.jit(energy)(1.0)) == pytest.approx(float(value), rel=2e-4)  # fixed rule


def test_slope_by_a_tilt_where_the_bodies_are_coaxial():
    """Nodes of the axisymmetric case still give the derivative off the axis: zero to first, right to second order."""
    energy = lambda x: inductance([SOLENOID, Posed(RING, x * jnp.array([1.0, 0, 0]), jnp.zeros(3))], [None, RADIUS])[0, 1]
    first, second = jax.grad(energy)(0.0), jax.jacfwd(jax.jacfwd(energy))(0.0)
    h = 1e-3
    assert abs(float(first)) < 1e-12 * float(energy(0.0))
    assert float(second) == pytest.approx(float(2 * (energy(h) - energy(0.0)) / h**2), rel=1e-3)


def test_refusals():
    magnet = Magnets([[0, 0, 0]], [[0.1, 0.1, 0.1]], [[0, 0, 0]], [[0, 0, 1.2]])
    with pytest.raises(TypeError, match="use flux_linkage for the flux of a magnet"):
        inductance([Assembly([RING, magnet])], RADIUS)
    with pytest.raises(RuntimeError, match="ask for a larger tolerance|infinite somewhere"):
        adaptive_nodes(lambda _, t: 1 / np.abs(t[:, 0] - 0.3), 1, 1, 1e-8)
