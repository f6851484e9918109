"""Tissues from four Cole-Cole terms: published values, limits of the model, derivatives, names."""

import jax
import numpy as np
import pytest

from designtools.materials import tissues
from designtools.spec import tissue_names


# values that the IFAC calculator of the same table gives (niremf.ifac.cnr.it), eps_r and sigma (S/m)
@pytest.mark.parametrize(
    "name, megahertz, relative, sigma",
    [("Muscle", 127.74, 63.5, 0.719), ("Muscle", 298.0, 58.2, 0.770), ("Brain (Grey Matter)", 298.0, 60.1, 0.691), ("Fat (Not Infiltrated)", 64.0, 6.51, 0.0353)],
)
def test_published_values(name, megahertz, relative, sigma):
    eps = tissues.permittivity(name, megahertz * 1e6)
    assert float(eps.real) == pytest.approx(relative, rel=2e-3)
    assert float(tissues.conductivity(eps, megahertz * 1e6)) == pytest.approx(sigma, rel=2e-3)


def test_the_model_term_by_term():
    """Straight from the formula with Python's complex powers."""
    p = tissues.tissue("Liver")
    w = 2 * np.pi * 21.3e6
    direct = p.high + p.conductivity / (1j * w * 8.8541878128e-12)
    direct += sum(d / (1 + (1j * w * t) ** (1 - a)) for d, t, a in zip(p.increment, p.time, p.width))
    assert complex(tissues.permittivity("Liver", 21.3e6)) == pytest.approx(direct, rel=1e-9)


def test_every_tissue_is_passive_and_obeys_dispersion():
    """Loss is positive; eps_r falls and sigma rises with frequency, as relaxation demands."""
    f = np.logspace(4, 10, 61)
    for name in tissues.table():
        eps = np.asarray(tissues.permittivity(name, f))
        sigma = np.asarray(tissues.conductivity(eps, f))
        assert (sigma > 0).all() and (np.diff(eps.real) < 0).all() and (np.diff(sigma) > 0).all(), name


def test_derivative_by_frequency():
    value = lambda f: tissues.permittivity("Muscle", f).real
    step = 1e3
    assert float(jax.grad(value)(64e6)) == pytest.approx(float(value(64e6 + step) - value(64e6 - step)) / (2 * step), rel=1e-6)


def test_constants_round_trip():
    eps = tissues.complex_permittivity(60.0, 0.7, 3e8)
    assert float(tissues.conductivity(eps, 3e8)) == pytest.approx(0.7, rel=1e-12)


def test_names():
    assert tissue_names.names() == list(tissues.table())
    assert tissues.tissue("muscle") == tissues.tissue("Muscle")
    with pytest.raises(ValueError, match="did you mean 'Muscle'"):
        tissues.tissue("Muskel")
    assert tissue_names.unknown("Muscle") == ""
    assert "did you mean" in tissue_names.unknown("muscel")
