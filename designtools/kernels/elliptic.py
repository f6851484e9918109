"""Complete elliptic integrals in the two combinations that ring currents need.

With parameter m = k^2 and complement m1 = 1 - m:

    D(m) = (K - E) / m              the vector potential of a loop
    G(m) = 2 K - (1 + m) D          its radial field

Both are P(m1) - ln(m1) Q(m1) with polynomials of degree 10, fitted in 45-digit arithmetic to a
relative error of 3e-17 over 0 < m1 <= 1 (the form of W. J. Cody, Math. Comp. 19 (1965) 105).
Neither loses digits as m -> 0, where the textbook combinations of K and E cancel.
"""

from __future__ import annotations

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


def ring_integrals(m1):
    """(D, G) at the complementary parameter 0 < m1 <= 1; the logarithm is shared."""
    logarithm = log(m1)
    return (
        _polynomial(_D_POLY, m1) - logarithm * _polynomial(_D_LOG, m1),
        _polynomial(_G_POLY, m1) - logarithm * _polynomial(_G_LOG, m1),
    )


def potential_integral(m1):
    """D alone, at the complementary parameter 0 < m1 <= 1."""
    return _polynomial(_D_POLY, m1) - log(m1) * _polynomial(_D_LOG, m1)


def _polynomial(coefficients, x):
    total = coefficients[-1]
    for c in reversed(coefficients[:-1]):
        total = total * x + c
    return total
