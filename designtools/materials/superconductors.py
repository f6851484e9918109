"""Critical current densities Jc(B, T) of superconductors, by name, each with its source and the range it was made for.

Every surface is a function of two field components, `along` and `across` (T), and the temperature (K): for a round
wire only their length counts; for a tape `along` lies in its broad face and `across` points out of it (in a coil
wound flat about z these are B_z and B_r).  Jc (A/m2) is that of the superconductor alone: for strands of all that is
not copper, for `REBCO` of the layer, but for `REBCO-GL` of the whole tape.  The functions are smooth up to the upper
critical field and zero beyond, and JAX differentiates them.  What they say outside the stated range is extrapolation:
`Surface.outside` puts it in words, `critical_current_density` refuses.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np

from designtools.materials.metals import copper_heat, nbti_heat


@dataclass(frozen=True)
class Surface:
    """A critical surface.

    density(along, across, temperature) -> A/m2, arrays that broadcast; field and temperature: the range (T, K) of the
    fit; critical_temperature (K) at zero field; anisotropic: whether the direction of the field counts; mass_density
    (kg/m3); heat(temperature, field) -> J/m3/K, by default that of copper, which is near that of any metal by volume.
    """

    name: str
    density: Callable
    field: tuple[float, float]
    temperature: tuple[float, float]
    critical_temperature: float
    source: str
    anisotropic: bool = False
    mass_density: float = 6000.0
    heat: Callable = copper_heat

    def outside(self, field, temperature) -> str:
        """Empty where |B| `field` (T) and `temperature` (K), numbers or arrays, lie in the range of the fit; else a sentence."""
        for what, value, (low, high), unit in (("field", field, self.field, "T"), ("temperature", temperature, self.temperature, "K")):
            worst = np.asarray(value, float)
            if not np.all((worst >= low) & (worst <= high)):  # NaN lies outside too
                span = f"{worst.min():.4g}" if worst.min() == worst.max() else f"{worst.min():.4g} to {worst.max():.4g}"
                return f"{self.name}: the {what} must lie in {low:g} to {high:g} {unit}, where the fit was made, got {span} {unit}"
        return ""


def critical_current_density(surface: Surface | str, field, temperature, across=None):
    """Jc (A/m2) at field (T) and temperature (K), inside the range of the fit only.

    across: component of the field out of a tape's face; `field` is then the component in it.  Raises ValueError in words.
    """
    surface = surface_named(surface) if isinstance(surface, str) else surface
    if surface.anisotropic and across is None:
        raise ValueError(f"{surface.name}: give the field across the tape too, since Jc depends on its direction; got its size alone")
    across = np.zeros(np.shape(field)) if across is None else across
    if trouble := surface.outside(np.hypot(field, across), temperature):
        raise ValueError(trouble + "; take a surface that covers it")
    return surface.density(jnp.asarray(field, float), jnp.asarray(across, float), jnp.asarray(temperature, float))


def surface_named(name: str) -> Surface:
    """The surface called `name` in SURFACES; ValueError names those there are."""
    if name not in SURFACES:
        raise ValueError(f"material must be one of {', '.join(SURFACES)}, got '{name}'; or make a surface with `tabulated`")
    return SURFACES[name]


# --- the shapes of the fits ---------------------------------------------------------------------------


def _size(along, across):
    """|B|, kept off zero, where the fits diverge and the root has no slope."""
    return jnp.sqrt(along**2 + across**2 + 1e-12)


def _below(x):
    """x where it lies below 1, else 1: so that 1 - x is never negative, nor the slope of a power of it NaN."""
    return jnp.minimum(x, 1.0)


def _power(x, exponent):
    """x^exponent, zero with zero slope at and below 0."""
    return jnp.where(x > 0, jnp.where(x > 0, x, 1.0) ** exponent, 0.0)


def _pinning(field, upper, low, high):
    """b^low (1 - b)^high of b = B/upper, zero where b >= 1 or upper <= 0."""
    there = upper > 0
    reduced = jnp.where(there, field / jnp.where(there, upper, 1.0), 1.0)
    return reduced**low * _power(1 - _below(reduced), high)


def _nbti(reference=3e9, scale=27.04, low=0.57, high=0.8477, power=2.23234, upper=14.5, critical=9.2):
    """Jref C0/B b^a (1-b)^be (1-t^1.7)^g, b = B/Bc2, Bc2 = upper (1 - t^1.7)."""

    def density(along, across, temperature):
        field = _size(along, across)
        left = 1 - _below(temperature / critical) ** 1.7
        return reference * scale / field * _pinning(field, upper * left, low, high) * _power(left, power)

    return density


def _summers(scale=3.85e10, upper=28.0, critical=18.0):
    """Jc0/sqrt(B) (1-b)^2 (1-t^2)^2, Bc2 = upper (1-t^2)(1 - 0.31 t^2 (1 - 1.77 ln t))."""

    def density(along, across, temperature):
        field, t = _size(along, across), _below(temperature / critical)
        square = t * t
        bc2 = upper * (1 - square) * (1 - 0.31 * square * (1 - 1.77 * jnp.log(t)))
        return scale / jnp.sqrt(field) * _pinning(field, bc2, 0.0, 2.0) * (1 - square) ** 2

    return density


def _bordini(scale=267.845e9, power=1.0, upper=26.45, critical=16.3):
    """C/B b^0.5 (1-b)^2, C = C0 (1-t^1.52)^al (1-t^2)^al, Bc2 = upper (1 - t^1.52)."""

    def density(along, across, temperature):
        field, t = _size(along, across), _below(temperature / critical)
        left = 1 - t**1.52
        return scale * _power(left, power) * _power(1 - t * t, power) / field * _pinning(field, upper * left, 0.5, 2.0)

    return density


def nb3sn_iter(strain: float = 0.0) -> Surface:
    """Nb3Sn by the ITER-2008 parametrisation at an intrinsic `strain` (1, negative in compression) of -0.8 to 0.4 %."""
    if not -0.008 <= strain <= 0.004:
        raise ValueError(f"nb3sn_iter: strain must lie in -0.008 to 0.004, where the strain function holds, got {strain}")
    hollow, first = 0.00256, 44.48
    s = 1 + first * (hollow - np.hypot(strain, hollow)) / (1 - first * hollow)
    upper, critical = 32.97 * s, 16.06 * s ** (1 / 3)
    scale = 19922.0 / (np.pi * (0.82e-3 / 2) ** 2 * 0.5)  # A·T of a strand of 0.82 mm, half of it copper

    def density(along, across, temperature):
        field, t = _size(along, across), _below(temperature / critical)
        left = 1 - t**1.52
        return scale / field * s * left * (1 - t * t) * _pinning(field, upper * left, 0.63, 2.1)

    return Surface(
        "Nb3Sn-ITER" if strain == 0 else f"Nb3Sn-ITER at {100 * strain:g} % strain", density, (0.5, 19.0), (2.35, 16.0), float(critical),
        "ITER-2008: L. Bottura, B. Bordini, IEEE Trans. Appl. Supercond. 19 (2009) 1521; constants, Bc20 32.97 T and Tc0 16.06 K as "
        "in ukaea/PROCESS, `itersc`", mass_density=8950.0,
    )  # fmt: skip


def _rebco_process(scale=1.82962e8, upper=132.5, critical=90.0, low=0.5875, high=1.7, slope=1.54121, power=1.96679):
    """A/B Birr^be b^p (1-b)^q, Birr = upper (1 - T/Tc)^al."""

    def density(along, across, temperature):
        field = _size(along, across)
        irreversible = upper * _power(1 - _below(temperature / critical), slope)
        return scale / field * _power(irreversible, power) * _pinning(field, irreversible, low, high)

    return density


def rebco_gl(strain: float = 0.0) -> Surface:
    """REBCO tape by Ginzburg-Landau scaling at `strain` (1) of -0.5 to 0.5 %: Jc over the whole section of the tape.

    A Wire of it counts the tape as superconductor, and only what is added to the tape as copper.
    """
    if not -0.005 <= strain <= 0.005:
        raise ValueError(f"rebco_gl: strain must lie in -0.005 to 0.005, got {strain}; the fit is a quartic about its maximum")
    percent = 100 * strain - 0.058
    s = 1 - 0.0191 * percent**2 + 0.0039 * percent**3 + 0.00103 * percent**4
    critical = 185.0 * s ** (1 / 2.2)

    def density(along, across, temperature):
        field, t = _size(along, across), _below(temperature / critical)
        upper = 429.0 * _power(1 - t, 5.27) * s
        return 295.0 * (critical * (1 - t * t)) ** 2 * _power(upper, 0.33) * _pinning(field, upper, -0.68, 2.5)

    return Surface(
        "REBCO-GL" if strain == 0 else f"REBCO-GL at {100 * strain:g} % strain", density, (0.5, 35.0), (4.2, 60.0), float(critical),
        "P. Branch, K. Osamura, D. Hampshire, Supercond. Sci. Technol. 33 (2020) 104006; constants, Bc20 429 T and Tc0 185 K "
        "(of the fit, not of the material) as in ukaea/PROCESS, `gl_rebco`", mass_density=6300.0,
    )  # fmt: skip


def _kim(scale=1.8303e9, critical=92.0, anisotropy=0.4795, half=0.09262, power=0.7283):
    """Jc0 (1 - (T/Tc)^2)^1.5 / (1 + (sqrt(k^2 along^2 + across^2)/B0)^al)."""

    def density(along, across, temperature):
        reduced = jnp.sqrt((anisotropy * along) ** 2 + across**2 + 1e-12) / half
        return scale * _power(1 - _below(temperature / critical) ** 2, 1.5) / (1 + reduced**power)

    return density


def tabulated(name: str, fields, temperatures, densities, source: str = "given by the user") -> Surface:
    """A surface from a table: densities (F,K) A/m2 > 0 at rising fields (F,) T and temperatures (K,) K.

    Linear in B and T for the logarithm of Jc; nothing outside the table is in range.
    """
    fields, temperatures, densities = (np.asarray(v, float) for v in (fields, temperatures, densities))
    _check_table(name, fields, temperatures, densities)
    table = jnp.asarray(np.log(densities))

    def density(along, across, temperature):
        i, u = _cell(fields, _size(along, across))
        k, v = _cell(temperatures, jnp.asarray(temperature, float))
        low = (1 - u) * table[i, k] + u * table[i + 1, k]
        high = (1 - u) * table[i, k + 1] + u * table[i + 1, k + 1]
        return jnp.exp((1 - v) * low + v * high)

    spans = [(float(axis[0]), float(axis[-1])) for axis in (fields, temperatures)]
    return Surface(name, density, *spans, float(temperatures[-1]), source)


def _check_table(name, fields, temperatures, densities):
    for axis, what in ((fields, "fields"), (temperatures, "temperatures")):
        if axis.ndim != 1 or axis.size < 2 or not np.all(np.diff(axis) > 0):
            raise ValueError(f"table '{name}': {what} must be two or more rising numbers, got {axis.tolist()}")
    if densities.shape != (fields.size, temperatures.size) or not np.all(densities > 0) or not np.all(np.isfinite(densities)):
        raise ValueError(
            f"table '{name}': densities must be positive, one row per field and one column per temperature "
            f"{(fields.size, temperatures.size)}, got shape {densities.shape}; end the table where Jc falls to zero"
        )


def _cell(axis, x):
    """Index of the cell of x in a rising axis, and its place in the cell (0 to 1; beyond, the end cells go on)."""
    index = jnp.clip(jnp.searchsorted(jnp.asarray(axis), x, side="right") - 1, 0, len(axis) - 2)
    start, end = jnp.asarray(axis)[index], jnp.asarray(axis)[index + 1]
    return index, (x - start) / (end - start)


# --- the table ----------------------------------------------------------------------------------------

SURFACES: dict[str, Surface] = {
    s.name: s
    for s in (
        Surface(
            "NbTi", _nbti(), (0.2, 13.5), (1.8, 9.0), 9.2,
            "form: L. Bottura, IEEE Trans. Appl. Supercond. 10 (2000) 1054; constants of CERN's magnum-nb "
            "(3112 A/mm2 at 4.2 K and 5 T)", heat=nbti_heat,
        ),
        Surface(
            "Nb3Sn", _summers(), (1.0, 24.0), (1.8, 16.0), 18.0,
            "form: L. T. Summers et al., IEEE Trans. Magn. 27 (1991) 2041, without strain; constants of CERN's magnum-nb",
            mass_density=8950.0,
        ),
        Surface(
            "Nb3Sn-Bordini", _bordini(), (1.0, 22.0), (1.8, 15.0), 16.3,
            "form: Bordini's fit for Nb3Sn strands; constants of CERN's magnum-nb", mass_density=8950.0,
        ),
        nb3sn_iter(),
        Surface(
            "REBCO", _rebco_process(), (0.1, 15.0), (4.2, 65.0), 90.0,
            "isotropic fit of ukaea/PROCESS, `jcrit_rebco`; the layer's own Jc", mass_density=6300.0,
        ),
        rebco_gl(),
        Surface(
            "REBCO-angle", _kim(), (0.0, 5.0), (65.0, 90.0), 92.0,
            "Kim's form with an elliptic field, constants of one tape of the 77 K class (github Eddiechiu/Comsol_multiphysics)",
            anisotropic=True, mass_density=6300.0,
        ),
    )
}  # fmt: skip
