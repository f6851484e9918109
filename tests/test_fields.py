"""Inductance, force and torque against closed forms and each other."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from designtools.fields import field_gradient, force, torque
from designtools.inductance import inductance, reference_current
from designtools.sources import Assembly, Blocks, Filaments, Loops, Magnets, Sheet, Uniform
from designtools.units import MU_0

LARGE = Loops([[0, 0, 0]], [[0, 0, 1]], [0.5], [1000.0])
SMALL = Loops([[0, 0, 0.3]], [[0, 0, 1]], [0.4], [1000.0])
SQUARE = Filaments.from_path([[0, 0, 0], [0.3, 0, 0], [0.3, 0.3, 0], [0, 0.3, 0]], 100.0, closed=True)


def polygon(n, radius, height, current):
    phi = 2 * np.pi * np.arange(n) / n
    return Filaments.from_path(
        np.column_stack([radius * np.cos(phi), radius * np.sin(phi), np.full(n, height)]), current, closed=True
    )


def test_coaxial_loops_mutual_inductance_and_force():
    """Maxwell's formula and F = I1 I2 dM/dz; attractive for currents of one sense."""
    matrix = inductance([LARGE, SMALL], wire_radius=1e-3)
    assert float(matrix[0, 1]) == pytest.approx(3.4697645577282e-07, rel=1e-12)
    assert matrix[0, 1] == matrix[1, 0]
    pull = force(SMALL, LARGE)
    np.testing.assert_allclose(pull, [0, 0, -1.2080777144035], rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(force(LARGE, SMALL), -pull, atol=1e-12)


def test_coaxial_dipoles_repel_as_the_fourth_power():
    """F = 3 mu0 m1 m2 / 2 pi d^4 for m = 1e4 A m2 at 2 m, as loops of 1 mm (attractive) and as magnets."""
    loops = [Loops([[0, 0, z]], [[0, 0, 1]], [1e-3], [1e4 / (np.pi * 1e-6)]) for z in (0, 2)]
    assert float(force(loops[1], loops[0])[2]) == pytest.approx(-3.75, rel=2e-6)
    magnets = [Magnets([[0, 0, z]], [[1e-3] * 3], [[0, 0, 0]], [[0, 0, 1e4 * MU_0 / 1e-9]]) for z in (0, 2)]
    np.testing.assert_allclose(force(magnets[1], magnets[0]), [0, 0, -3.75], rtol=2e-6, atol=1e-9)


def test_circuit_in_a_uniform_field_turns_and_does_not_move():
    field = Uniform([3.0, 0, 0])
    np.testing.assert_allclose(force(SQUARE, field), 0, atol=1e-12)
    np.testing.assert_allclose(torque(SQUARE, field), [0, 27.0, 0], atol=1e-12)


@pytest.mark.parametrize(
    "source, moment",
    [
        (LARGE, [0, 0, 1000 * np.pi * 0.25]),
        (Blocks([0.3], [0.4], [-0.1], [0.2], [1e6]), [0, 0, 1e6 * 0.3 * np.pi * (0.4**3 - 0.3**3) / 3]),
        (Magnets([[1, 2, 3]], [[0.1, 0.2, 0.3]], [[0, 0, np.pi / 2]], [[1.0, 0, 0.5]]), np.array([0, 1, 0.5]) * 6e-3 / MU_0),
        (
            Sheet([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0], [0.5, 0.5, 0]], [[0, 1, 4], [1, 2, 4], [2, 3, 4], [3, 0, 4]], [0, 0, 0, 0, 30.0]),
            [0, 0, 10.0],
        ),
    ],
    ids=["loops", "blocks", "magnets", "sheet"],
)  # fmt: skip
def test_torque_in_a_uniform_field_is_m_cross_b(source, moment):
    b = np.array([0.3, -0.2, 1.0])
    size = np.linalg.norm(moment)
    np.testing.assert_allclose(torque(source, Uniform(b)), np.cross(moment, b), atol=1e-10 * size)
    np.testing.assert_allclose(force(source, Uniform(b)), 0, atol=1e-10 * size)


def test_action_is_reaction_between_kinds():
    magnet = Magnets([[0.2, 0.1, 0.7]], [[0.1, 0.2, 0.1]], [[0.3, 0.2, 0.1]], [[0.2, 0.3, 1.0]])
    block = Blocks([0.3], [0.4], [-0.1], [0.2], [1e6])
    for other in (LARGE, SQUARE, block):
        np.testing.assert_allclose(force(magnet, other), -force(other, magnet), rtol=1e-7, atol=1e-8)
        np.testing.assert_allclose(torque(magnet, other), -torque(other, magnet), rtol=1e-7, atol=1e-8)


def test_self_inductance_of_a_loop_and_of_its_polygon():
    """L = mu0 a (ln(8a/w) - 7/4) for uniform current in a round wire of radius w << a."""
    exact = MU_0 * 0.5 * (np.log(8 * 0.5 / 1e-3) - 1.75)
    loop, ring = np.diag(inductance([LARGE, polygon(400, 0.5, 2.0, 3.0)], wire_radius=1e-3))
    assert loop == pytest.approx(exact, rel=1e-5)
    assert ring == pytest.approx(exact, rel=5e-4)


def test_thin_block_is_a_loop_of_the_same_turns():
    block = Blocks([0.4995], [0.5005], [-0.0005], [0.0005], [1e9])
    matrix = inductance([block, SMALL], wire_radius=[None, 1e-3])
    assert float(matrix[0, 1]) == pytest.approx(3.4697645577282e-07, rel=1e-5)
    geometric_mean = 0.44705 * 1e-3  # of a square of 1 mm from itself (Maxwell 1873, sec. 692)
    assert float(matrix[0, 0]) == pytest.approx(MU_0 * 0.5 * (np.log(8 * 0.5 / geometric_mean) - 2), rel=1e-4)


def test_matrix_is_symmetric_and_kinds_agree():
    matrix = inductance([LARGE, polygon(500, 0.4, 0.3, 1.0), Blocks([0.2], [0.25], [0.0], [0.1], [1e6])], [1e-3, 1e-3, None])
    np.testing.assert_array_equal(matrix, matrix.T)
    assert float(matrix[0, 1]) == pytest.approx(3.4697645577282e-07, rel=2e-4)
    assert np.all(np.linalg.eigvalsh(matrix) > 0)


def test_series_circuit_adds_up():
    """L of two loops in series = L1 + L2 + 2M; opposed: L1 + L2 - 2M."""
    matrix = inductance([LARGE, SMALL], wire_radius=1e-3)
    opposed = Loops([[0, 0, 0.3]], [[0, 0, 1]], [0.4], [-1000.0])
    for second, sign in ((SMALL, 1), (opposed, -1)):
        series = inductance([Assembly([LARGE, second])], wire_radius=1e-3)[0, 0]
        assert float(series) == pytest.approx(float(matrix[0, 0] + matrix[1, 1] + 2 * sign * matrix[0, 1]), rel=1e-12)
    assert reference_current(Assembly([LARGE, opposed])) == 1000.0
    both = Loops([[0, 0, 0], [0, 0, 0.3]], [[0, 0, 1], [0, 0, 1]], [0.5, 0.4], [1000.0, 1000.0])
    assert float(inductance([both], wire_radius=1e-3)[0, 0]) == pytest.approx(
        float(matrix.sum()), rel=1e-9
    )


def test_block_energy_converges():
    """Splitting a winding in four does not change its energy."""
    whole = Blocks([0.3], [0.4], [-0.1], [0.2], [1e6])
    parts = Blocks([0.3, 0.3, 0.35, 0.35], [0.35, 0.35, 0.4, 0.4], [-0.1, 0.05, -0.1, 0.05], [0.05, 0.2, 0.05, 0.2], 4 * [1e6])
    energy = [float(inductance([b])[0, 0] * reference_current(b) ** 2) for b in (whole, parts)]
    assert energy[0] == pytest.approx(energy[1], rel=1e-7)


def test_inductance_can_be_differentiated():
    def mutual(z):
        return inductance([LARGE, Loops(jnp.array([[0.0, 0.0, 1.0]]) * z, SMALL.normal, SMALL.radius, SMALL.current)], 1e-3)[0, 1]

    assert float(jax.grad(mutual)(0.3)) * 1e6 == pytest.approx(-1.2080777144035, rel=1e-10)


def test_field_gradient_is_the_derivative():
    points = np.array([[0.1, 0.2, 0.3], [0.7, -0.1, 0.4]])
    slope = field_gradient(LARGE, points)
    h = 1e-6
    for j in range(3):
        step = h * np.eye(3)[j]
        numeric = (LARGE.field(points + step) - LARGE.field(points - step)) / (2 * h)
        np.testing.assert_allclose(slope[:, :, j], numeric, rtol=1e-7, atol=1e-11)


def test_refusals_are_sentences():
    with pytest.raises(ValueError, match="needs wire_radius in metres"):
        inductance([LARGE])
    with pytest.raises(TypeError, match="must be made of .* got Uniform"):
        inductance([Uniform([0, 0, 1])])
    with pytest.raises(ValueError, match="one per source"):
        inductance([LARGE, SMALL], wire_radius=[1e-3])
    with pytest.raises(TypeError, match="got Uniform"):
        force(Uniform([0, 0, 1]), LARGE)
