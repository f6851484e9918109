"""Stress and forces in coaxial windings against closed forms, an independent solver and balances."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_bvp

import designtools as dt
from designtools.quantities import coaxial, stress
from designtools.units import MU_0

FACTS = json.loads((Path(__file__).parent / "reference" / "superconductors.json").read_text())
A, B, NU = 0.1, 0.17, 0.3


def ring(load, k=1.0, nu=NU, count=13):
    r = stress.ring_points(jnp.array(A), jnp.array(B), count)
    return (np.asarray(r), *(np.asarray(s) for s in stress.ring_stress(r, load(r), k, nu)))


def test_uniform_load_has_the_closed_form_of_the_isotropic_cylinder():
    """Domain: J B constant, E_h = E_r; metric: largest difference over the largest hoop stress; 1e-11."""
    F = 1e9
    r, hoop, radial = ring(lambda r: F + 0 * r)
    q, p = (A * A + A * B + B * B) / (A + B), A * A * B * B / (A + B) / r**2
    np.testing.assert_allclose(radial, (2 + NU) / 3 * F * (q - p - r), atol=1e-11 * hoop.max())
    np.testing.assert_allclose(hoop, (2 + NU) / 3 * F * (q + p - (1 + 2 * NU) / (2 + NU) * r), atol=1e-11 * hoop.max())


def test_linear_load_has_the_closed_form_of_the_spinning_disc():
    """J B = c r is the centrifugal load of a disc (Timoshenko & Goodier, Theory of Elasticity, art. 32)."""
    c = 3e9
    r, hoop, radial = ring(lambda r: c * r)
    p = A * A * B * B / r**2
    np.testing.assert_allclose(radial, (3 + NU) / 8 * c * (A * A + B * B - p - r**2), atol=1e-11 * hoop.max())
    expected = (3 + NU) / 8 * c * (A * A + B * B + p - (1 + 3 * NU) / (3 + NU) * r**2)
    np.testing.assert_allclose(hoop, expected, atol=1e-11 * hoop.max())


@pytest.mark.parametrize("k, slope", [(1.7, 2.2), (2.0, 0.0), (0.6, 2.0)])
def test_anisotropic_rings_agree_with_a_boundary_value_solver(k, slope):
    """Falling and constant loads; k = 2 with constant load is where a power series would divide by zero."""
    load = lambda r: 1e9 * (1 - slope * (r - A) / (B - A) * 0.5)
    r, hoop, radial = ring(load, k)
    modulus = 1e9  # of the turns; the stress does not depend on it

    def slopes(r, y):
        """y: displacement, r sigma_r; from e_h = (s_h - nu s_r)/E_h and e_r = s_r/E_r - nu s_h/E_h."""
        u, q = y
        s_r = q / r
        s_h = modulus * u / r + NU * s_r
        return np.stack([(s_r * k**2 - NU * s_h) / modulus, s_h - load(r) * r])

    free = solve_bvp(slopes, lambda a, b: np.array([a[1], b[1]]), np.linspace(A, B, 200), np.zeros((2, 200)), tol=1e-8, max_nodes=50000)
    u, q = free.sol(r)
    assert free.success
    np.testing.assert_allclose(radial, q / r, atol=1e-6 * hoop.max())
    np.testing.assert_allclose(hoop, modulus * u / r + NU * q / r, atol=1e-6 * hoop.max())


@pytest.mark.parametrize("k", [0.5, 1.0, 3.0])
def test_hoop_tension_carries_the_whole_load(k):
    """Half a ring in balance: the integral of the hoop stress is that of J B r, whatever the moduli."""
    load = lambda r: 1e9 * (1.2 - 10 * (r - A))
    nodes, weights = np.polynomial.legendre.leggauss(40)
    r, hoop, _ = ring(load, k, count=25)
    fine = (A + B) / 2 + (B - A) / 2 * nodes
    fit = np.polynomial.Chebyshev.fit(r, hoop, 24)
    assert weights @ fit(fine) == pytest.approx(weights @ (load(fine) * fine), rel=1e-9)


def test_a_field_that_reverses_inside_pulls_the_layers_apart():
    """Outward load inside and inward load outside press; the reverse pulls."""
    _, _, pressed = ring(lambda r: 1e9 * (1 - 2 * (r - A) / (B - A)))
    _, _, pulled = ring(lambda r: -1e9 * (1 - 2 * (r - A) / (B - A)))
    assert pressed.max() <= 1e-3 * abs(pressed.min()) and pulled.min() >= -1e-3 * pulled.max() and pulled.max() > 1e6
    assert abs(pulled[0]) < 1e-6 and abs(pulled[-1]) < 1e-6


def test_long_solenoid_free_and_bonded():
    J, thickness = 1e8, 0.01
    long = dt.Blocks([A], [A + thickness], [-5.0], [5.0], [J])
    free = stress.free_turn_stress(long, hoop_modulus=8e10)
    bonded = stress.bonded_stress(long, hoop_modulus=8e10)
    inside = MU_0 * J * thickness
    assert float(free.hoop.max()) == pytest.approx(J * inside * A, rel=0.01)
    middle = np.asarray(bonded.hoop[0, 4])
    assert middle.mean() == pytest.approx(J * inside / 2 * (A + thickness / 3), rel=0.02)  # the mean of a load that falls to zero
    assert np.ptp(middle) < 0.2 * middle.mean() < 0.2 * float(free.hoop.max())
    np.testing.assert_allclose(bonded.hoop_strain, (bonded.hoop - 0.3 * bonded.radial) / 8e10, rtol=1e-12)


def magnet(name="wb15_1sh"):
    return dt.Blocks(*np.array(FACTS["scatter_0.1mm"][name]["coils"]).T)


def test_loads_of_a_whole_magnet():
    blocks = magnet()
    known = FACTS["scatter_0.1mm"]["wb15_1sh"]["recomputed"]
    assert float(coaxial.hoop_stress(blocks).max()) / 1e6 == pytest.approx(known["max_JBR_MPa"], rel=1e-6)
    assert float(coaxial.stored_energy(blocks)) == pytest.approx(known["energy_J"], rel=1e-5)
    assert float(blocks.volume().sum()) == pytest.approx(known["volume_m3"], rel=1e-9)
    free, bonded = stress.free_turn_stress(blocks), stress.bonded_stress(blocks, stiffness_ratio=np.full(9, 2.0))
    assert float(free.hoop.max()) / 1e6 == pytest.approx(known["max_JBR_MPa"], rel=1e-3)
    assert bonded.hoop.shape == (9, stress.LEVELS, stress.RADII) and float(bonded.hoop.max()) < float(free.hoop.max())


def test_the_slope_of_the_stress():
    of = lambda outer: jnp.max(stress.bonded_stress(dt.Blocks(jnp.array([A]), outer[None], jnp.array([-0.1]), jnp.array([0.2]), jnp.array([1e8]))).hoop)
    step = 1e-6
    slope = float(jax.jvp(of, (jnp.array(0.13),), (jnp.array(1.0),))[1])
    assert slope == pytest.approx(float((of(jnp.array(0.13 + step)) - of(jnp.array(0.13 - step))) / (2 * step)), rel=1e-4)


# --- forces ---------------------------------------------------------------------------------------------


def test_who_pushes_whom():
    blocks = magnet()
    matrix, whole = np.asarray(coaxial.force_matrix(blocks)), np.asarray(coaxial.axial_force(blocks))
    np.testing.assert_allclose(matrix, -matrix.T, atol=1e-9 * np.abs(matrix).max())
    np.testing.assert_allclose(matrix.sum(axis=1), whole, atol=1e-9 * np.abs(whole).max())
    assert matrix[1, 2] < 0 and matrix[1, 7] < 0 < matrix[7, 1]  # drawn to its twin below, pushed by the shield above
    assert not np.diag(matrix).any()


def test_linkage_is_energy():
    blocks = magnet()
    linkage = np.asarray(coaxial.linkage_matrix(blocks))
    assert linkage.sum() / 2 == pytest.approx(float(coaxial.stored_energy(blocks)), rel=1e-12)
    pair = [dt.Blocks(*(np.asarray(leaf)[i : i + 1] for leaf in blocks._leaves())) for i in (0, 7)]
    expected = float(dt.inductance(pair)[0, 1]) * np.abs(np.asarray(blocks.ampere_turns()))[[0, 7]].prod()
    assert linkage[0, 7] == pytest.approx(expected, rel=1e-9) and linkage[0, 7] < 0


def test_stiffness_along_and_across():
    """Along: the difference of two forces. Across: J x B over the displaced coil; the sum of the three is zero."""
    pair = dt.Blocks([0.2, 0.3], [0.22, 0.33], [-0.02, 0.05], [0.03, 0.12], [1e7, -2e7])
    step = 1e-4
    moved = lambda d: dt.Blocks(pair.inner_radius, pair.outer_radius, [-0.02 + d, 0.05], [0.03 + d, 0.12], pair.current_density)
    along = (np.asarray(coaxial.axial_force(moved(step))) - np.asarray(coaxial.axial_force(moved(-step)))) / (2 * step)
    stiffness = np.asarray(coaxial.axial_stiffness(pair))
    np.testing.assert_allclose(stiffness[:, 0], along, rtol=1e-4)
    np.testing.assert_allclose(stiffness.sum(axis=1), 0, atol=1e-9 * np.abs(stiffness).max())
    coil, other = (dt.Blocks(*(np.asarray(leaf)[i : i + 1] for leaf in pair._leaves())) for i in (0, 1))
    points, current = (np.asarray(v) for v in coil.current_elements(64, 8))
    push = lambda d: np.cross(current, np.asarray(other.field(points + [d, 0, 0]))).sum(axis=0)[0]
    across = (push(step) - push(-step)) / (2 * step)
    assert across == pytest.approx(-stiffness[0, 0] / 2, rel=1e-5)


def test_a_long_solenoid_is_pressed_by_its_own_field():
    """The halves attract with B^2/(2 mu0) over the bore: energy per length of a thin long solenoid."""
    thin = dt.Blocks([0.1], [0.101], [-2.0], [2.0], [1e8])
    inside = MU_0 * 1e8 * 1e-3
    section = np.pi * (0.101**2 - 0.1**2)
    assert float(coaxial.axial_compression(thin, 60)[0]) == pytest.approx(inside**2 / (2 * MU_0) * np.pi * 0.1005**2 / section, rel=0.02)
