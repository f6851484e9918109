"""Thin wires by moments, alone and beside a body: published impedances, another equation for the same current, energy, closed forms."""

import numpy as np
import pytest

from designtools.materials import tissues
from designtools.materials.tissues import EPSILON_0
from designtools.rf import antennas, body, coupled, moments, wires
from designtools.rf.layered_sphere import LIGHT, LayeredSphere, fields, power_matrix, wave_of_currents
from designtools.units import MU_0

ONE = LIGHT  # Hz at which the wavelength is 1 m
HALF_WAVE = 73.13 + 42.54j  # ohm, sinusoidal current, infinitely thin (C. A. Balanis, Antenna Theory, ch. 8)
PARALLEL = -12.53 - 29.93j  # ohm, mutual, half a wavelength apart (the same)


def dipole(length, radius, pieces, x=0.0):
    z = np.linspace(-length / 2, length / 2, pieces + 1)
    return moments.strand(np.stack([0 * z + x, 0 * z, z], axis=1), radius, pieces // 2)


def impedance(strands, frequency, **options):
    matrix = moments.impedance_matrix(strands, frequency, **options)
    return moments.driven(matrix, moments.port_columns(strands))


def test_sinusoids_have_the_published_impedances():
    """Rooftops with the values of a sinusoid: self and mutual impedance of half-wave dipoles by the method of induced voltages."""
    pair = moments.together([dipole(0.5, 1e-6, 80), dipole(0.5, 1e-6, 80, 0.5)])
    _, nodes = moments.basis(pair)
    matrix = moments.impedance_matrix(pair, ONE)
    sine = np.sin(2 * np.pi * (0.25 - np.abs(pair.points[nodes, 2])))
    first, second = sine * (nodes < 81), sine * (nodes >= 81)
    assert first @ matrix @ first == pytest.approx(HALF_WAVE, rel=3e-3)
    assert first @ matrix @ second == pytest.approx(PARALLEL, rel=3e-3)


def hallen(length, radius, pieces):
    """Impedance (ohm) by Hallen's equation, currents even about points, matched at them: mu0/4pi int I G = -j/c (C cos kz + V/2 sin k|z|)."""
    k, z = 2 * np.pi, np.linspace(-length / 2, length / 2, pieces + 1)
    step, (t, w) = z[1] - z[0], np.polynomial.legendre.leggauss(40)
    fine = z[:, None] + step / 2 * t
    r = np.sqrt((z[:, None, None] - fine[None]) ** 2 + radius**2)
    smooth = np.sum((np.exp(-1j * k * r) - 1) / r * w, axis=-1) * step / 2
    apart = z[:, None] - z[None]
    smooth += np.arcsinh((apart + step / 2) / radius) - np.arcsinh((apart - step / 2) / radius)
    matrix = np.column_stack([MU_0 / (4 * np.pi) * smooth[:, 1:-1], 1j / LIGHT * np.cos(k * z)])
    found = np.linalg.lstsq(matrix, -0.5j / LIGHT * np.sin(k * np.abs(z)), rcond=None)[0]
    return 1 / found[(pieces - 1) // 2]


@pytest.mark.parametrize("length, radius", [(0.5, 1e-3), (0.45, 1e-3), (0.3, 5e-4), (0.7, 5e-4)])
def test_dipoles_against_hallens_equation(length, radius):
    ours = impedance(dipole(length, radius, 60), ONE, exact=False).impedance[0, 0]
    assert ours == pytest.approx(hallen(length, radius, 120), rel=0.02)


def test_impedance_settles_with_finer_pieces_and_thinner_wires_near_the_sinusoids():
    coarse, fine = (impedance(dipole(0.5, 1e-4, n), ONE).impedance[0, 0] for n in (20, 40))
    finest = impedance(dipole(0.5, 1e-4, 80), ONE).impedance[0, 0]
    assert abs(fine - finest) < 0.5 * abs(coarse - finest) < 2
    far = [abs(impedance(dipole(0.5, a, 60), ONE).impedance[0, 0] - HALF_WAVE) for a in (1e-3, 1e-5, 1e-9)]
    assert far[0] > far[1] > far[2] and far[2] < 2.5


def test_thick_wires_are_stable_with_the_mean_around_them():
    """Pieces half as long as the wire is thick: the reduced kernel has begun to swing, the exact one has not."""
    current = lambda exact: impedance(dipole(0.5, 0.02, 50), ONE, exact=exact).current[:, 0]
    roughness = lambda i: np.abs(np.diff(i.imag, 2)[:10]).max() / np.abs(i).max()
    assert roughness(current(True)) < 0.3 * roughness(current(False))


def test_what_a_port_delivers_is_radiated_or_lost():
    pair = moments.together([dipole(0.5, 1e-3, 20), dipole(0.4, 1e-3, 20, 0.2)])
    found = impedance(pair, ONE, series_per_metre=20.0)
    lost = moments.radiated(pair, found, ONE) + antennas.loss(pair, found.current, 20.0)
    np.testing.assert_allclose(lost, coupled.port_power(found.impedance), atol=2e-4 * np.abs(lost).max())


def ring(radius, count):
    angle, scale = 2 * np.pi * np.arange(count) / count, np.sqrt(2 * np.pi / count / np.sin(2 * np.pi / count))
    return scale * radius * np.stack([np.cos(angle), np.sin(angle), 0 * angle], axis=1)


def test_small_loops():
    """45 mm radius, 1 mm wire, 21.3 MHz: 219.95 nH (method of moments of another program); 20 pi^2 (k a)^4 radiated."""
    loop = moments.strand(ring(0.045, 48), 1e-3, 0, closed=True)
    found = impedance(loop, 21.3e6)
    k = 2 * np.pi * 21.3e6 / LIGHT
    assert found.impedance[0, 0].imag / (k * LIGHT) == pytest.approx(219.95e-9, rel=2e-3)
    assert found.impedance[0, 0].real == pytest.approx(20 * np.pi**2 * (0.045 * k) ** 4, rel=6e-3)
    assert 2 * moments.radiated(loop, found, 21.3e6)[0, 0].real == pytest.approx(found.impedance[0, 0].real, rel=1e-6)


def test_capacitors_make_the_current_even():
    """One wavelength around: bare, the current varies; divided by capacitors it hardly does, and the loop is tuned."""
    channel = wires.path(ring(0.08, 48))
    variation = lambda i: np.ptp(np.abs(i)) / np.abs(i).mean()
    bare = impedance(moments.strand(ring(0.08, 48), 2e-3, 0, closed=True), 298e6)
    tuned = impedance(antennas.loops(channel, 12, 2e-3, 298e6), 298e6)
    assert variation(tuned.current) < 0.1 < 0.5 < variation(bare.current)
    assert abs(tuned.impedance[0, 0].imag) < 0.25 * 2 * np.pi * 298e6 * wires.inductance(channel, 2e-3)[0, 0]


def test_junctions_obey_kirchhoff():
    """Three wires that meet: two rooftops there, whose currents add up to nothing."""
    points = np.array([[0, 0, 0], [0.05, 0, 0], [0.1, 0, 0], [0, 0.05, 0], [0, 0.1, 0], [0, 0, 0.05], [0, 0, 0.1]])
    pieces = np.array([[0, 1], [1, 2], [0, 3], [3, 4], [0, 5], [5, 6]])
    star = moments.Strands(points, pieces, 1e-3, np.array([1]), np.zeros(0, int), np.zeros(0, complex))
    weights, nodes = moments.basis(star)
    assert list(nodes).count(0) == 2 and len(nodes) == 5
    flow = impedance(star, 300e6).current[:, 0]
    leaving = sum((weights[s, 0] @ flow) for s in (0, 2, 4))
    assert abs(leaving) < 1e-12 * np.abs(flow).max()


def test_a_port_at_an_end_is_refused():
    with pytest.raises(ValueError, match="every port must be an inner node"):
        moments.port_columns(dipole(0.5, 1e-3, 10)._replace(ports=np.array([0])))


def test_fields_of_rooftops_are_those_of_straight_pieces():
    """E along an axis against pieces of even current with the charges at their ends, refined."""
    strands = dipole(0.3, 1e-3, 12)
    found = impedance(strands, 300e6)
    points = np.random.default_rng(0).uniform(0.05, 0.2, (6, 3))
    axis = np.array([0, 1, 2, 2, 0, 1])
    ours = moments.tangential(strands, points, axis, 300e6) @ found.current
    weights, _ = moments.basis(strands)
    ends = np.einsum("sin,nc->sic", weights, found.current)
    t = (np.arange(40) + 0.5) / 40
    start = np.concatenate([a + w * (t[:, None] - 0.5 / 40) for a, w in zip(strands.start, strands.way)])
    flow = np.concatenate([(1 - t) * e[0, 0] + t * e[1, 0] for e in ends])
    fine = wires.Wires(start, start + np.repeat(strands.way, 40, axis=0) / 40, flow[:, None])
    theirs = np.asarray(wires.electric_field(fine, points, 300e6))[np.arange(6), axis]
    np.testing.assert_allclose(ours, theirs, atol=1e-3 * np.abs(theirs).max())


# --- beside a body ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def beside():
    """Two dipoles of different length beside a sphere of 90 mm, 298 MHz, 10 mm voxels."""
    eps = complex(tissues.complex_permittivity(60.0, 0.7, 298e6))
    voxels = body.ellipsoids([body.Layer((0.09,) * 3, eps, 1000.0)], 0.01)
    strands = moments.together([dipole(0.3, 2e-3, 14, 0.12), dipole(0.24, 2e-3, 12, -0.125)])
    return voxels, strands, coupled.full_wave(voxels, strands, 298e6, 2.0, 1e-6), eps


def far_power(places, moment, frequency):
    """Power (C,C) W radiated by current elements, by their far field."""
    k, (mu, weight) = 2 * np.pi * frequency / LIGHT, np.polynomial.legendre.leggauss(12)
    mu, phi = (v.ravel() for v in np.meshgrid(mu, 2 * np.pi * np.arange(24) / 24, indexing="ij"))
    out = np.stack([np.sqrt(1 - mu**2) * np.cos(phi), np.sqrt(1 - mu**2) * np.sin(phi), mu], axis=1)
    far = np.einsum("pq,qac->pac", np.exp(1j * k * out @ places.T), moment)
    far = far - out[:, :, None] * np.einsum("pa,pac->pc", out, far)[:, None]
    return MU_0 * LIGHT * k**2 / (32 * np.pi**2) * np.einsum("p,pac,pad->cd", np.repeat(weight, 24) * 2 * np.pi / 24, far.conj(), far)


def test_ports_deliver_what_body_wires_and_space_take(beside):
    voxels, strands, found, eps = beside
    within = found.electric.reshape(len(voxels.centres), 3, 4, -1).mean(axis=2)
    polarised = 2j * np.pi * 298e6 * EPSILON_0 * (eps - 1) * within * voxels.spacing**3
    places, moment, _ = moments.elements(strands, found.flow)
    radiated = far_power(np.concatenate([places, voxels.centres]), np.concatenate([moment, polarised]), 298e6)
    taken = found.power + radiated + antennas.loss(strands, found.flow, 2.0)
    given = coupled.port_power(found.impedance)
    np.testing.assert_allclose(taken, given, atol=2e-3 * np.abs(given).max())
    assert found.impedance[0, 1] == pytest.approx(found.impedance[1, 0], rel=1e-6)


def test_fields_of_the_coupled_currents_against_the_closed_form(beside):
    """The sphere's modes for the very currents that were found."""
    voxels, strands, found, eps = beside
    sphere = LayeredSphere(np.array([0.09]), np.array([eps]), 298e6)
    places, moment, _ = moments.elements(strands, found.flow)
    wave = wave_of_currents(sphere, places, moment, 26)
    inner = np.linalg.norm(voxels.centres, axis=1) < 0.075
    exact = fields(sphere, wave, voxels.centres[inner])[1]
    assert np.linalg.norm(found.flux[inner] - exact) < 0.06 * np.linalg.norm(exact)
    np.testing.assert_allclose(np.diag(found.power).real, np.diag(power_matrix(sphere, wave)).real, rtol=0.12)


def test_without_contrast_the_body_is_not_there():
    thin = body.ellipsoids([body.Layer((0.05,) * 3, 1 + 1e-9 - 1e-9j, 1000.0)], 0.0125)
    strands = dipole(0.3, 2e-3, 12, 0.1)
    alone = impedance(strands, 298e6)
    found = coupled.full_wave(thin, strands, 298e6, 0.0, 1e-8)
    assert found.impedance[0, 0] == pytest.approx(alone.impedance[0, 0], rel=1e-7)


def test_the_reaction_on_the_wire_is_the_field_of_the_body_along_it(beside):
    """At a weak contrast: Z changes by -int f . E of the polarised voxels, summed one by one."""
    eps = 1.02 - 0.01j
    voxels = body.ellipsoids([body.Layer((0.04,) * 3, eps, 1000.0)], 0.01)
    strands = dipole(0.3, 2e-3, 12, 0.1)
    alone = impedance(strands, 298e6)
    found = coupled.full_wave(voxels, strands, 298e6, 0.0, 1e-10)
    along = np.stack([moments.tangential(strands, voxels.centres, np.full(len(voxels.centres), a), 298e6) for a in range(3)], axis=1) @ alone.current
    change = -2j * np.pi * 298e6 * EPSILON_0 * (eps - 1) * voxels.spacing**3 * np.sum(along**2)
    assert found.impedance[0, 0] - alone.impedance[0, 0] == pytest.approx(change, rel=0.05)


def test_a_coupling_too_large_is_refused(monkeypatch, beside):
    voxels, strands, *_ = beside
    monkeypatch.setattr(coupled, "LARGEST", 1e3)
    with pytest.raises(ValueError, match="use larger voxels or fewer elements"):
        coupled.full_wave(voxels, strands, 298e6, 0.0)
