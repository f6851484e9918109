"""Circuits for two frequencies, shields, arrays with preamplifiers, matching of any impedance, pulses: closed forms and circuit laws."""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import i1e, k1e

from designtools.rf import circuits, coils, networks, pulses, receive, shields, wires

L, LOW, HIGH = 300e-9, 17.66e6, 63.87e6  # 129Xe and 1H at 1.5 T


# --- two frequencies --------------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0.05, 0.5, 0.99])
def test_a_trap_tunes_both_frequencies(share):
    found = networks.trap(L, LOW, HIGH, share * networks.largest_trap(L, LOW, HIGH))
    for f in (LOW, HIGH):
        omega = 2 * np.pi * f
        total = 1j * omega * L + 1 / (1j * omega * found.series) + networks.trap_impedance(found, f, 1e15)
        assert abs(total.imag) < 1e-10 * omega * L
    assert LOW < 1 / (2 * np.pi * np.sqrt(found.inductance * found.trap)) < HIGH


def test_a_trap_too_large_is_refused_and_its_loss_is_that_of_its_inductor():
    with pytest.raises(ValueError, match="must be at most 8.3"):
        networks.trap(L, LOW, HIGH, 1e-6)
    found = networks.trap(L, LOW, HIGH, 2e-7)
    omega = 2 * np.pi * HIGH
    gain = 1 / abs(1 - omega**2 * found.inductance * found.trap) ** 2  # of the current in the trap's inductor over the coil's
    assert networks.trap_impedance(found, HIGH, 1e4).real == pytest.approx(gain * omega * 2e-7 / 1e4, rel=1e-3)


@pytest.mark.parametrize("coupling", [0.05, 0.3, 0.7])
def test_two_coupled_circuits_have_both_modes(coupling):
    found = networks.two_mode(L, 2 * L, coupling * np.sqrt(2) * L, LOW, HIGH)
    inductance = np.array([[L, coupling * np.sqrt(2) * L], [coupling * np.sqrt(2) * L, 2 * L]])
    modes, _ = circuits.modes(inductance, np.diag([1 / found.coil, 1 / found.second]))
    np.testing.assert_allclose(modes / (2 * np.pi), [LOW, HIGH], rtol=1e-9)
    with pytest.raises(ValueError, match="coupling must be at most"):
        networks.two_mode(L, L, 0.95 * L, LOW, HIGH)


# --- shields ----------------------------------------------------------------------------------------


def test_the_shield_of_a_loop():
    """On the axis of a long tube of radius b: B = mu0/2a - (mu0 a/pi) int k I1(ka) K1(kb)/I1(kb) dk, in units of mu0/2a."""
    a, b = 0.1, 0.15
    lost = quad(lambda k: k * i1e(k * a) * k1e(k * b) / i1e(k * b) * np.exp(k * (a - 2 * b)), 1e-9, 400)[0] * 2 * a**2 / np.pi
    ring, tube = coils.loop([0, 0, 0], [0, 0, 1], a), shields.tube(b, 0.6, 24, 20)
    strip = shields.spacing(b, 0.6, 24, 20) / (2 * np.pi)
    both = shields.shielded(ring, tube, 1e-3, strip)
    field = lambda w: np.asarray(wires.flux_density(w, np.zeros((1, 3)), 0.0))[0, 2, 0].real
    assert field(both) / field(ring) == pytest.approx(1 - lost, rel=0.02)
    assert len(both.ends()[0]) == 0
    outside = np.asarray(wires.flux_density(both, np.array([[0.2, 0, 0.0]]), 0.0))[0, 2, 0].real
    assert abs(outside) < 0.05 * abs(np.asarray(wires.flux_density(ring, np.array([[0.2, 0, 0.0]]), 0.0))[0, 2, 0].real)
    assert wires.inductance(both, np.repeat([1e-3, strip], [len(ring.start), len(tube.start)]))[0, 0] < wires.inductance(ring, 1e-3)[0, 0]


def test_the_shield_of_a_long_birdcage():
    """Images at b^2/a: the field in the middle falls by 1 - (a/b)^2."""
    cage, tube = coils.birdcage(0.12, 0.9, 8), shields.tube(0.18, 1.2, 24, 12)
    both = shields.shielded(cage, tube, 3e-3, shields.spacing(0.18, 1.2, 24, 12) / (2 * np.pi))
    field = lambda w: np.linalg.norm(np.asarray(wires.flux_density(w, np.zeros((1, 3)), 0.0))[0, :, 0])
    assert field(both) / field(cage) == pytest.approx(1 - (0.12 / 0.18) ** 2, rel=0.04)


# --- arrays -----------------------------------------------------------------------------------------


def array(channels=4, seed=0):
    """Inductance with coupling, and resistance with correlated losses."""
    random = np.random.default_rng(seed)
    mixed = random.normal(size=(channels, channels))
    return L * (np.eye(channels) + 0.05 * (mixed + mixed.T)), np.eye(channels) + 0.1 * (mixed @ mixed.T)


def test_coupling_moves_no_snr():
    """Signals and noise pass the same coupled circuit: the best combination is as good as that of the coils alone, with or without
    preamplifiers that block (P. B. Roemer et al. 1990)."""
    inductance, loss = array()
    signal = np.random.default_rng(1).normal(size=(5, 4)) + 1j
    alone = receive.snr(signal, loss)
    for blocking in (0.0, 50.0):
        y = networks.currents(inductance, loss, 64e6, blocking)
        np.testing.assert_allclose(receive.snr(signal @ y.T, y @ loss @ y.conj().T), alone, rtol=1e-9)


def test_preamplifiers_isolate():
    inductance, loss = array()
    bare, blocked = (networks.crosstalk(inductance, loss, 64e6, b) for b in (0.0, 1e5))
    assert blocked < -60 < bare
    only = np.diag(np.diag(inductance))
    assert networks.crosstalk(only, np.diag([1.0, 2, 3, 4]), 64e6) < -250


def test_resonances_of_a_coupled_pair():
    pair = np.array([[1.0, 0.2], [0.2, 1.0]]) * L
    np.testing.assert_allclose(networks.resonances(pair, 64e6), circuits.split_frequencies(64e6, 0.2), rtol=1e-12)
    np.testing.assert_allclose(networks.detuning(pair, 64e6), 1 / np.sqrt(1 - 0.04) - 1, rtol=1e-12)  # L_eff = L (1 - k^2)


@pytest.mark.parametrize("z", [10 + 30j, 3 - 400j, 200 + 50j, 70 - 3j, 50 + 0j, 17 - 268j])
def test_any_impedance_is_matched(z):
    found = networks.l_match(z)
    assert networks.matched([[z]], [found])[0, 0] == pytest.approx(50, abs=1e-9)
    for name, value in (networks.element(reactance=found.reactance, frequency=3e8), networks.element(susceptance=found.susceptance, frequency=3e8)):
        assert name in ("capacitor", "inductor") and value >= 0
    with pytest.raises(ValueError, match="resistance must be positive"):
        networks.l_match(-1 + 2j)


# --- pulses -----------------------------------------------------------------------------------------


def test_levels_of_pulses():
    """A rectangular pulse of 180 degrees in 1 ms needs 11.74 uT; at a tenth of the time its rms is that over the root of ten."""
    gamma = 42.577478518e6
    assert pulses.rms(np.pi, 1e-3, 1e-3, "rectangular", gamma) == pytest.approx(0.5 / (gamma * 1e-3), rel=1e-12)
    assert pulses.rms(np.pi, 1e-3, 1e-2, "rectangular", gamma) == pytest.approx(0.5 / (gamma * 1e-3) / np.sqrt(10), rel=1e-12)
    t = np.linspace(-1, 1, 200001)
    gauss = np.exp(-2 * t**2)
    expected = 0.5 / (gamma * 1e-3 * np.trapezoid(gauss, t) / 2) * np.sqrt(np.trapezoid(gauss**2, t) / 2)
    assert pulses.rms(np.pi, 1e-3, 1e-3, "gaussian", gamma) == pytest.approx(expected, rel=1e-6)
    assert pulses.rms(np.pi, 1e-3, 1e-3, "sinc", gamma) > 2 * pulses.rms(np.pi, 1e-3, 1e-3, "rectangular", gamma)
