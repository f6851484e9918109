"""Solid harmonics of one field component: the ONE written convention of this project.

In a ball free of sources any Cartesian component of B is harmonic, and inside it

    B_u(r, theta, phi) = sum_{n=0}^{order} sum_{m=0}^{n} (r/R)^n P_n^m(cos theta) [a_nm cos(m phi) + b_nm sin(m phi)]

with R the reference radius, theta from the polar axis +z, phi from +x towards +y, about the given centre.
P_n^m are the UNNORMALISED associated Legendre functions WITHOUT the Condon-Shortley sign (P_1^1 = sin theta,
P_2^1 = 3 sin theta cos theta, P_2^2 = 3 sin^2 theta), as magnet makers quote them.  Coefficients are tesla at R:
a_n0 is the deviation on the axis at z = R.  In Cartesian form: (1,0) z/R; (1,1) x/R, y/R; (2,0) (2z^2-x^2-y^2)/2R^2;
(2,1) 3xz/R^2, 3yz/R^2; (2,2) 3(x^2-y^2)/R^2, 6xy/R^2.

`conventions` converts to and from other normalisations and the scanner makers' shim terms.
"""

from designtools.harmonics.conventions import from_shim_terms, normalised, shim_terms, unnormalised
from designtools.harmonics.expansion import harmonics, project, zonal
from designtools.harmonics.fitting import Fit, fit, fit_with_errors
from designtools.harmonics.multipoles import Multipoles, multipoles
from designtools.harmonics.table import Harmonics, solid_harmonics

__all__ = [
    "Fit", "Harmonics", "Multipoles", "fit", "fit_with_errors", "from_shim_terms", "harmonics", "multipoles",
    "normalised", "project", "shim_terms", "solid_harmonics", "unnormalised", "zonal",
]  # fmt: skip
