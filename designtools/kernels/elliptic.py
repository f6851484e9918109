"""Complete elliptic integrals in the two combinations that ring currents need.

With parameter m = k^2 and complement m1 = 1 - m:

    D(m) = (K - E) / m              the vector potential of a loop
    G(m) = 2 K - (1 + m) D          its radial field

Both are P(m1) - ln(m1) Q(m1) with polynomials of degree 10, fitted in 45-digit arithmetic to a
relative error of 3e-17 over 0 < m1 <= 1 (the form of W. J. Cody, Math. Comp. 19 (1965) 105).
Neither loses digits as m -> 0, where the textbook combinations of K and E cancel.  Nor do their slopes, by way of

    H(m) = (G - 3 m1 D) / m,   dD/dm = H / (4 m1),   dG/dm = -H / 4,

with H fitted alike, to 1e-15 (differentiate the definitions and dK/dm, dE/dm: Abramowitz & Stegun 17.3).
"""

from __future__ import annotations

import jax

from designtools.kernels.elementary import log

_D_POLY = (
    0.38629436111989124, 0.039720770887050824, 0.013800781758755536, 0.006917984755299662,
    0.004663604524464889, 0.011380182583420433, 0.05428675085108981, 0.12491770801714139,
    0.11012929851164333, 0.03142851187573837, 0.001858208512952802,
)  # fmt: skip
_D_LOG = (
    0.5, 0.3749999999946793, 0.35156249067950934, 0.34179456495835503,
    0.3363076267236082, 0.3297990011573915, 0.3013227420286883, 0.20998132066217157,
    0.08209890312695972, 0.01251280965561104, 0.00039401330335114663,
)  # fmt: skip
_G_POLY = (
    2.0, 0.4999999999834499, 0.07388958685312953, 0.029855763276683614,
    0.015833058131781427, 0.003854316221745573, -0.03489308704727109, -0.10195695988255356,
    -0.09854091811583272, -0.029978889491700866, -0.0018683797370867377,
)  # fmt: skip
_G_LOG = (
    0.0, 1.7876202722467083e-12, -0.18749999577989113, -0.2343737330540532,
    -0.25625383072564656, -0.26684844398528973, -0.2549887191215665, -0.1857983534560479,
    -0.07613578481996727, -0.012153859243178093, -0.0003997031189383301,
)  # fmt: skip
_H_POLY = (
    2.0, 1.341116916122601, 1.2958432331056682, 1.2840752478242563,
    1.2669363527303872, 1.0460802122192967, -0.26781114403953, -2.7718499388856417,
    -3.0147140432439032, -0.9425526506452583, -0.05902694009170238,
)  # fmt: skip
_H_LOG = (
    0.0, -1.4999999999459204, -2.812499851461876, -4.101516301540539,
    -5.3798538641465, -6.5767254531333394, -7.107589483078609, -5.5803382485022635,
    -2.3688388985119295, -0.3830855165754251, -0.01262451311762003,
)  # fmt: skip


@jax.custom_jvp
def ring_integrals(m1):
    """(D, G) at the complementary parameter 0 < m1 <= 1; the logarithm is shared."""
    logarithm = log(m1)
    return _sum(_D_POLY, _D_LOG, m1, logarithm), _sum(_G_POLY, _G_LOG, m1, logarithm)


@ring_integrals.defjvp
def _ring_slopes(primals, tangents):
    (m1,), (step,) = primals, tangents
    logarithm = log(m1)
    d, g, h = (_sum(*two, m1, logarithm) for two in ((_D_POLY, _D_LOG), (_G_POLY, _G_LOG), (_H_POLY, _H_LOG)))
    return (d, g), (-h / (4 * m1) * step, h / 4 * step)


@jax.custom_jvp
def potential_integral(m1):
    """D alone, at the complementary parameter 0 < m1 <= 1."""
    return _sum(_D_POLY, _D_LOG, m1, log(m1))


@potential_integral.defjvp
def _potential_slope(primals, tangents):
    (m1,), (step,) = primals, tangents
    logarithm = log(m1)
    d, h = _sum(_D_POLY, _D_LOG, m1, logarithm), _sum(_H_POLY, _H_LOG, m1, logarithm)
    return d, -h / (4 * m1) * step


def _sum(polynomial, factor, x, logarithm):
    return _polynomial(polynomial, x) - logarithm * _polynomial(factor, x)


def _polynomial(coefficients, x):
    total = coefficients[-1]
    for c in reversed(coefficients[:-1]):
        total = total * x + c
    return total
