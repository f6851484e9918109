"""Layered spheres in closed form: energy balance, layers that are one, free space, quasi-static limit, published ultimates."""

import numpy as np
import pytest

from designtools.materials import tissues
from designtools.rf import spherical
from designtools.rf.layered_sphere import LIGHT, LayeredSphere, fields, plane_wave, power_matrix, ultimate_map, ultimate_sensitivity, wave_of_currents
from designtools.units import MU_0

A = 0.09
POINTS = np.random.default_rng(0).uniform(-0.05, 0.05, (40, 3))


def sphere(frequency, permittivity, radii=(A,)):
    return LayeredSphere(np.array(radii), np.atleast_1d(permittivity), frequency)


def phantom(frequency):
    return sphere(frequency, complex(tissues.complex_permittivity(60.0, 0.7, frequency)))


def loop(centre, normal, radius, count=128):
    """Points (Q,3) and elements (Q,3) A·m of one ampere around a circle."""
    angle, normal = 2 * np.pi * np.arange(count) / count, np.asarray(normal, float) / np.linalg.norm(normal)
    first = np.cross(normal, [0.3, 0.5, 0.1])
    first /= np.linalg.norm(first)
    second = np.cross(normal, first)
    c, s = np.cos(angle)[:, None], np.sin(angle)[:, None]
    return np.asarray(centre) + radius * (c * first + s * second), 2 * np.pi * radius / count * (c * second - s * first)


def retarded(points, places, elements, wavenumber):
    """A (T·m) and its curl of current elements in free space, term by term."""
    apart = points[:, None] - places
    r = np.linalg.norm(apart, axis=2)
    wave = MU_0 / (4 * np.pi) * np.exp(-1j * wavenumber * r)
    curl = np.einsum("pq,pqc->pc", wave * (1 + 1j * wavenumber * r) / r**3, np.cross(elements[None], apart))
    return (wave / r) @ elements, curl


@pytest.mark.parametrize("x", [1e-6, 0.3 - 0.2j, 3.0 - 1j, 12.0 - 5j, 25.0 + 0j])
def test_bessel_functions_against_mpmath(x):
    import mpmath

    for n in (0, 1, 5, 20, 40):
        power = mpmath.mpf(1)
        for k in range(1, n + 1):
            power = power * (2 * k + 1)
        z = mpmath.mpmathify(x)
        j = mpmath.sqrt(mpmath.pi / 2 / z) * mpmath.besselj(n + 0.5, z) * power / z**n
        h = mpmath.sqrt(mpmath.pi / 2 / z) * mpmath.hankel2(n + 0.5, z) * z ** (n + 1) * (2 * n + 1) / power / 1j
        assert complex(spherical.smooth_j(x, n)[n]) == pytest.approx(complex(j), rel=1e-11)
        assert complex(spherical.smooth_h(x, max(n, 1))[n]) == pytest.approx(complex(h), rel=1e-11)


def test_harmonics_are_orthonormal():
    x, w = np.polynomial.legendre.leggauss(12)
    phi = 2 * np.pi * np.arange(24) / 24
    mu, phi = (v.ravel() for v in np.meshgrid(x, phi, indexing="ij"))
    rho = np.sqrt(1 - mu**2)
    points, weights = np.stack([rho * np.cos(phi), rho * np.sin(phi), mu], 1), np.repeat(w, 24) * 2 * np.pi / 24
    y, b, c = spherical.harmonics(points, spherical.modes(5))
    for f in (b, c):
        np.testing.assert_allclose(np.einsum("kpc,lpc,p->kl", f.conj(), f, weights), np.eye(35), atol=1e-12)
    np.testing.assert_allclose(np.einsum("kpc,lpc,p->kl", b.conj(), c, weights), 0, atol=1e-12)
    np.testing.assert_allclose(np.einsum("kp,lp,p->kl", y.conj(), y, weights), np.eye(35), atol=1e-12)


@pytest.mark.parametrize("frequency", [2.13e6, 128e6, 500e6])
def test_absorbed_power_is_the_integral_of_its_density(frequency):
    """Energy that flows in through the surface, against sigma |E|^2/2 over the volume, by Gauss points."""
    ball = phantom(frequency)
    t, w = np.polynomial.legendre.leggauss(20)
    r, wr = A / 2 * (t + 1), A / 2 * w
    phi = 2 * np.pi * np.arange(6) / 6  # fields of orders -1 and 1: squares have orders 0 and 2
    r3, mu, phi3 = (v.ravel() for v in np.meshgrid(r, t, phi, indexing="ij"))
    weight = np.einsum("i,j,k->ijk", wr * r**2, w, np.full(6, 2 * np.pi / 6)).ravel()
    rho = np.sqrt(1 - mu**2)
    points = r3[:, None] * np.stack([rho * np.cos(phi3), rho * np.sin(phi3), mu], 1)
    wave = plane_wave(ball, 14)
    electric, _ = fields(ball, wave, points)
    assert power_matrix(ball, wave) == pytest.approx(0.35 * weight @ np.sum(np.abs(electric) ** 2, axis=1), rel=1e-10)


def test_layers_of_one_material_are_one_sphere():
    one = phantom(300e6)
    three = sphere(300e6, np.repeat(one.permittivity, 3), (0.04, 0.07, A))
    wave = plane_wave(one, 12)
    for single, layered in zip(fields(one, wave, POINTS), fields(three, wave, POINTS)):
        np.testing.assert_allclose(layered, single, atol=1e-12 * np.abs(single).max())
    assert power_matrix(three, wave) == pytest.approx(power_matrix(one, wave), rel=1e-12)


def test_fields_are_continuous_across_layers():
    """Tangential E and all of B, and the normal part of eps E, on both sides of an interface at high contrast."""
    ball = sphere(300e6, np.array([60 - 42j, 6 - 2.4j]), (0.07, A))
    out = POINTS / np.linalg.norm(POINTS, axis=1, keepdims=True)
    inside, outside = (fields(ball, plane_wave(ball, 20), out * 0.07 * (1 + s)) for s in (-1e-9, 1e-9))
    np.testing.assert_allclose(inside[1], outside[1], atol=1e-6 * np.abs(inside[1]).max())
    normal = [np.sum(e[0] * out, axis=1) for e in (inside, outside)]
    across = [e[0] - n[:, None] * out for e, n in zip((inside, outside), normal)]
    np.testing.assert_allclose(across[0], across[1], atol=1e-6 * np.abs(across[0]).max())
    np.testing.assert_allclose(normal[0] * (60 - 42j), normal[1] * (6 - 2.4j), atol=1e-5 * np.abs(normal[0]).max() * 60)


@pytest.mark.parametrize("frequency", [2.13e6, 298e6])
def test_in_vacuum_sources_have_their_own_fields(frequency):
    empty = sphere(frequency, 1 + 0j)
    k = empty.omega / LIGHT
    places, elements = loop([0.02, 0.05, 0.14], [0.1, 0.2, 1], 0.05)
    electric, magnetic = fields(empty, wave_of_currents(empty, places, elements, 60), POINTS[:10])
    potential, curl = retarded(POINTS[:10], places, elements, k)
    np.testing.assert_allclose(electric, -1j * empty.omega * potential, atol=1e-9 * empty.omega * np.abs(potential).max())
    np.testing.assert_allclose(magnetic, curl, atol=1e-9 * np.abs(curl).max())


def test_a_plane_wave_in_vacuum_is_itself():
    empty = sphere(300e6, 1 + 0j)
    electric, magnetic = fields(empty, plane_wave(empty, 20), POINTS)
    phase = np.exp(-1j * empty.omega / LIGHT * POINTS[:, 2:])
    np.testing.assert_allclose(electric, phase * [1, 0, 0], atol=1e-11)
    np.testing.assert_allclose(magnetic * LIGHT, phase * [0, 1, 0], atol=1e-11)


def test_a_turned_source_has_turned_fields():
    ball = phantom(128e6)
    turn = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))[0]
    turn *= np.linalg.det(turn)
    places, elements = loop([0, 0, 0.12], [0, 0, 1], 0.05)
    plain = fields(ball, wave_of_currents(ball, places, elements, 40, orders=(0,)), POINTS[:8])
    turned = fields(ball, wave_of_currents(ball, places @ turn.T, elements @ turn.T, 40), POINTS[:8] @ turn.T)
    for a, b in zip(plain, turned):
        np.testing.assert_allclose(b, a @ turn.T, atol=1e-8 * np.abs(a).max())


# Hoult and Lauterbur, J. Magn. Reson. 34 (1979) 425: R = (2 pi/15) sigma w^2 B^2 b^5 in a uniform field B per ampere.
# Relative figures to three or four digits: grey matter, radius 90 mm; the exact value stands beside them below.
@pytest.mark.parametrize("megahertz, ratio, rel", [(2.13, 0.9982, 1e-3), (64, 0.8221, 1e-3), (128, 0.5625, 4e-3), (298, 0.1126, 6e-3), (500, 0.0311, 6e-3)])
def test_ultimate_at_the_centre_against_hoult_and_lauterbur(megahertz, ratio, rel):
    frequency = megahertz * 1e6
    eps = complex(tissues.permittivity("Brain (Grey Matter)", frequency))
    ball = sphere(frequency, eps)
    ultimate = ultimate_sensitivity(ball, np.zeros((1, 3)), 4)[0]  # of the rotating component: two linear fields at twice the power
    uniform = 2 * np.pi / 15 * float(tissues.conductivity(eps, frequency)) * ball.omega**2 * A**5
    assert 0.5 / ultimate / uniform == pytest.approx(ratio, rel=rel)
    z = ball.wavenumbers[0] * A / 2 * (np.polynomial.legendre.leggauss(60)[0] + 1)
    bessel = np.abs((np.sin(z) / z**2 - np.cos(z) / z) * 3 / ball.wavenumbers[0]) ** 2
    closed = 2.5 / A**4 * np.polynomial.legendre.leggauss(60)[1] @ (bessel * (z / ball.wavenumbers[0]).real ** 2)
    assert 0.5 / ultimate / uniform == pytest.approx(closed, rel=1e-9)


def test_a_map_of_the_ultimate_is_the_ultimate():
    ball, axis = phantom(128e6), [1, 2, 2]
    places = np.random.default_rng(2).uniform(-0.045, 0.045, (20, 3))
    np.testing.assert_allclose(ultimate_map(ball, places, 20, axis), ultimate_sensitivity(ball, places, 20, axis), rtol=0.01)


def test_no_array_beats_the_ultimate():
    ball, point = phantom(128e6), np.array([[0.02, 0.01, 0.03]])
    way = np.random.default_rng(5).normal(size=(12, 3))
    way /= np.linalg.norm(way, axis=1, keepdims=True)
    coils = [loop(0.13 * n, n, 0.04, 64) for n in way]
    waves = [wave_of_currents(ball, *c, 25) for c in coils]
    wave = waves[0]._replace(te=np.stack([w.te for w in waves], 1), tm=np.stack([w.tm for w in waves], 1))
    _, magnetic = fields(ball, wave, point)
    receive = magnetic[0].T @ np.array([0.5, -0.5j, 0])
    reached = [float(np.real(receive[:n].conj() @ np.linalg.solve(power_matrix(ball, wave)[:n, :n].T, receive[:n]))) for n in (1, 4, 12)]
    assert reached[0] < reached[1] < reached[2] < ultimate_sensitivity(ball, point, 25)[0]


def test_sources_inside_are_refused():
    with pytest.raises(ValueError, match="outside the sphere of 0.09 m, got one at 0.05"):
        wave_of_currents(phantom(64e6), [[0, 0, 0.05]], [[1.0, 0, 0]], 5)
