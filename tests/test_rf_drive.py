"""Shims under limits against a semidefinite bound; SNR, ultimate and noise amplification against closed forms."""

import warnings

import cvxpy as cp
import numpy as np
import pytest

from designtools.rf import drive, receive


def setting(channels=6, count=300, seed=0):
    """A row to focus, points (60,C), and forms of cubes with their limits."""
    random = np.random.default_rng(seed)
    draw = lambda *shape: random.normal(size=shape) + 1j * random.normal(size=shape)
    rows = draw(count, channels, 2)
    return draw(channels), draw(60, channels), drive.Limits(rows @ np.swapaxes(rows.conj(), 1, 2), random.uniform(1, 3, count))


def semidefinite_bound(row, limits):
    """max b W b^H over positive semidefinite W with tr(Q W) within every limit, as real matrices: an upper bound."""
    n = len(row)
    real = lambda m: np.block([[m.real, -m.imag], [m.imag, m.real]])
    w = cp.Variable((2 * n, 2 * n), PSD=True)
    kept = [cp.trace(real(q) @ w) / limit <= 1 for q, limit in zip(limits.forms, limits.limits)]
    gain = real(np.outer(row.conj(), row))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return np.sqrt(cp.Problem(cp.Maximize(cp.trace(gain @ w)), kept).solve(cp.CLARABEL))


def test_focus_reaches_the_semidefinite_bound():
    row, _, limits = setting(count=80)
    found = drive.focus(row, limits)
    assert drive.excess(drive.scaled(limits), found.current).max() <= 1 + 1e-9
    assert 0 <= found.gap < 1e-4 and found.entered < 60
    assert found.objective == pytest.approx(abs(row @ found.current), rel=1e-9)
    assert found.objective == pytest.approx(semidefinite_bound(row, limits), rel=1e-4)


def test_the_bound_holds_for_any_multipliers():
    row, _, limits = setting(count=80)
    reached = drive.focus(row, limits).objective / np.linalg.norm(row)
    random = np.random.default_rng(4)
    assert min(drive.bound(row / np.linalg.norm(row), drive.scaled(limits), random.uniform(size=80) ** 6) for _ in range(200)) >= reached


def test_focus_under_one_limit_is_the_matched_drive():
    row, _, limits = setting()
    one = drive.Limits(limits.forms.sum(axis=0)[None], np.array([2.0]))
    exact = np.sqrt(2 * np.real(row @ np.linalg.solve(one.forms[0], row.conj())))
    assert drive.focus(row, one).objective == pytest.approx(exact, rel=1e-4)


def test_even_within_loose_limits_is_the_phase_retrieval_and_better_than_its_starts():
    _, points, limits = setting()
    loose = drive.Limits(limits.forms, limits.limits * 1e6)
    one, many = (drive.even(points, 1.0, loose, starts, 1) for starts in (1, 6))
    assert many.objective <= one.objective and many.spread >= 0 and many.gap is None
    target = np.exp(1j * np.angle(points @ many.current))  # stationary: least squares for its own phases
    np.testing.assert_allclose(np.linalg.lstsq(points, target, rcond=None)[0], many.current, atol=0.05 * np.abs(many.current).max())


def test_even_keeps_every_limit_and_pays_for_tight_ones():
    _, points, limits = setting()
    free = drive.even(points, 1.0, drive.Limits(limits.forms, limits.limits * 1e6), 3, 1)
    share = drive.excess(drive.scaled(limits), free.current).max()
    tight = drive.Limits(limits.forms, limits.limits * share / 4)
    held = drive.even(points, 1.0, tight, 3, 1)
    assert drive.excess(drive.scaled(tight), held.current).max() <= 1.001
    assert held.objective > free.objective


# --- reception --------------------------------------------------------------------------------------


def test_snr_of_uncorrelated_channels_adds_in_squares():
    random = np.random.default_rng(0)
    b = random.normal(size=(5, 3)) + 1j * random.normal(size=(5, 3))
    r = np.array([0.5, 1.0, 2.0])
    np.testing.assert_allclose(receive.snr(b, np.diag(r)), np.sqrt(np.sum(np.abs(b) ** 2 / r, axis=1)))


def test_absolute_snr_by_hand():
    """A loop whose field is 1 uT/A (half of it rotates), 1 ohm, 64 MHz, 1 mm3 of water: voltage and noise in volts."""
    omega, kt = 2 * np.pi * 64e6, 1.380649e-23 * 310
    magnetisation = 6.64e28 * (2.792847 * 5.0507837e-27) ** 2 * (64e6 / 42.577478518e6) / kt  # n mu^2 B0/kT
    volts, noise = omega * magnetisation * 1e-9 * 1e-6, np.sqrt(4 * kt * 1.0)
    b, r = np.array([[0.5e-6]]), np.array([[1.0]])
    assert receive.absolute(receive.snr(b, r), 64e6)[0] == pytest.approx(volts / noise, rel=1e-4)


def test_snr_is_that_of_the_best_weights_under_correlated_noise():
    """No combination w gives more than sqrt(b^H R^-1 b) = max |w^H b|/sqrt(w^H R w)."""
    random = np.random.default_rng(1)
    b, m = random.normal(size=4) + 1j * random.normal(size=4), random.normal(size=(4, 4)) + 1j * random.normal(size=(4, 4))
    r = m @ m.conj().T
    ratio = lambda w: abs(w.conj() @ b) / np.sqrt(np.real(w.conj() @ r @ w))
    best = receive.snr(b[None], r)[0]
    assert ratio(np.linalg.solve(r, b)) == pytest.approx(best, rel=1e-12)
    assert max(ratio(random.normal(size=4) + 1j * random.normal(size=4)) for _ in range(500)) < best


def test_g_of_two_coils_at_twofold_reduction():
    """1/sqrt(1 - |c|^2), c the whitened inner product of the two aliased sensitivities."""
    random = np.random.default_rng(2)
    shape, inside = (1, 8, 1), np.ones((1, 8, 1), bool)
    b = random.normal(size=(8, 2)) + 1j * random.normal(size=(8, 2))
    m = random.normal(size=(2, 2)) + 1j * random.normal(size=(2, 2))
    r = m @ m.conj().T + np.eye(2)
    white = np.linalg.solve(np.linalg.cholesky(r), b.T).T
    white /= np.linalg.norm(white, axis=1, keepdims=True)
    c = np.abs(np.sum(white[:4].conj() * white[4:], axis=1))
    np.testing.assert_allclose(receive.g_factor(b, r, shape, inside, (1, 2, 1)), np.tile(1 / np.sqrt(1 - c**2), 2), rtol=1e-10)


def test_g_is_one_without_reduction_or_overlap_and_infinite_where_coils_are_too_few():
    random = np.random.default_rng(3)
    inside = np.ones((4, 4, 1), bool)
    b = random.normal(size=(16, 2)) + 1j * random.normal(size=(16, 2))
    assert np.all(receive.g_factor(b, np.eye(2), (4, 4, 1), inside, (1, 1, 1)) == 1)
    assert np.all(np.isinf(receive.g_factor(b, np.eye(2), (4, 4, 1), inside, (2, 2, 1))))
    inside[2:] = False
    np.testing.assert_allclose(receive.g_factor(b[:8], np.eye(2), (4, 4, 1), inside, (2, 1, 1)), 1)
