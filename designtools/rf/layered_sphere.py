"""Fields, absorbed power and ultimate signal-to-noise ratio of a layered sphere in closed form: what the numerics are judged by.

The field in each layer is a sum of modes.  With X (B and C of `spherical`) the angular functions:
    TE:  E = u(r) C,                        flux density  (j/w) [sqrt(n(n+1)) u/r Y r + (r u)'/r B]
    TM:  H = v(r) C,   E = 1/(j w eps) [sqrt(n(n+1)) v/r Y r + (r v)'/r B]
u, (r u)' and v, (r v)'/eps are continuous.  A wave from outside has the coefficients `Wave`, those of
u = (r/R)^n smooth_j_n(k0 r) at the sphere's radius R, likewise for v (A/m).
J. A. Stratton, Electromagnetic Theory (1941), ch. 7; C.-T. Tai, Dyadic Green Functions (1994).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from designtools.materials.tissues import EPSILON_0
from designtools.rf import spherical
from designtools.units import MU_0

LIGHT = 299792458.0  # m/s


class LayeredSphere(NamedTuple):
    """Concentric layers: outer radii (L,) m, innermost first, complex relative permittivities (L,), frequency (Hz)."""

    radii: np.ndarray
    permittivity: np.ndarray
    frequency: float

    @property
    def omega(self) -> float:
        return 2 * np.pi * self.frequency

    @property
    def outer(self) -> float:
        return float(self.radii[-1])

    @property
    def wavenumbers(self) -> np.ndarray:
        """(L,) 1/m, with negative imaginary parts: waves decay along exp(-j k r)."""
        root = np.sqrt(np.asarray(self.permittivity, complex))
        return self.omega / LIGHT * np.where(root.imag > 0, -root, root)


class Wave(NamedTuple):
    """A wave from outside: modes (n, m) (K,2) and coefficients of u (K,) V/m and of v (K,) A/m, or (K,C) for C channels."""

    modes: np.ndarray
    te: np.ndarray
    tm: np.ndarray


class Radial(NamedTuple):
    """Amplitudes (L, degree) of the regular and the outgoing function in each layer, per unit of the incident one."""

    regular: np.ndarray
    outgoing: np.ndarray


# --- matching the layers ----------------------------------------------------------------------------


def radial(sphere: LayeredSphere, degree: int, magnetic: bool) -> Radial:
    """Amplitudes of u (TE) or, with `magnetic`, of v (TM)."""
    radii, k = np.asarray(sphere.radii, float), sphere.wavenumbers
    weight = 1 / np.asarray(sphere.permittivity, complex) if magnetic else np.ones(len(radii))
    amplitudes = [(np.ones(degree, complex), np.zeros(degree, complex))]
    for layer in range(1, len(radii)):
        state = _state(sphere, layer - 1, amplitudes[-1], radii[layer - 1], degree, weight[layer - 1])
        amplitudes.append(_amplitudes(state, k[layer], radii[layer - 1], radii[layer], degree, weight[layer]))
    state = _state(sphere, len(radii) - 1, amplitudes[-1], radii[-1], degree, weight[-1])
    incident, _ = _amplitudes(state, sphere.omega / LIGHT, radii[-1], radii[-1], degree, 1.0)
    return Radial(*(np.array([a[i] for a in amplitudes]) / incident for i in (0, 1)))


def _pieces(k, radius, inner, outer, degree):
    """Value and slope at `radius` of the functions of a layer: (r/outer)^n smooth_j and (inner/r)^(n+1) smooth_h."""
    n = np.arange(1, degree + 1).reshape(-1, *[1] * np.ndim(radius))
    up, down = (radius / outer) ** n, (inner / radius) ** (n + 1)
    return [up * f for f in spherical.regular(k * radius, degree)], [down * f for f in spherical.outgoing(k * radius, degree)]


def _state(sphere, layer, amplitude, radius, degree, weight):
    """What is continuous: the function and the weighted slope of r times it."""
    value, slope = _profile(sphere, layer, amplitude, radius, degree)
    return value, weight * slope


def _profile(sphere, layer, amplitude, radius, degree):
    """The function and (r f)' (degree, *radius.shape) at radii within one layer."""
    inner = sphere.radii[layer - 1] if layer else 0.0
    shape = (-1, *[1] * np.ndim(radius))
    a, b = (np.reshape(v, shape) for v in amplitude)
    k, outer = sphere.wavenumbers[layer], sphere.radii[layer]
    if not layer:
        n = np.arange(1, degree + 1).reshape(shape)
        return tuple(a * (radius / outer) ** n * f for f in spherical.regular(k * np.asarray(radius), degree))
    first, second = _pieces(k, radius, inner, outer, degree)
    return tuple(a * f + b * g for f, g in zip(first, second))


def _amplitudes(state, k, inner, outer, degree, weight):
    """Amplitudes of the functions of the layer beyond, from what is continuous at its inner radius."""
    (j, dj), (h, dh) = _pieces(k, inner, inner, outer, degree)
    value, slope = state[0], state[1] / weight
    wronskian = j * dh - h * dj
    return (value * dh - slope * h) / wronskian, (j * slope - dj * value) / wronskian


# --- sources ----------------------------------------------------------------------------------------


def plane_wave(sphere: LayeredSphere, degree: int, field: float = 1.0) -> Wave:
    """The wave field * x * exp(-j k z) (V/m)."""
    n = np.arange(1, degree + 1)
    x = sphere.omega / LIGHT * sphere.outer
    power = np.cumprod(-1j * x / (2 * n + 1)) * (2 * n + 1)  # (-j)^n (2n+1) x^n/(2n+1)!!
    legendre = np.sqrt((2 * n + 1) / (4 * np.pi * n * (n + 1)))  # of Y_n1 = legendre P_n^1 exp(j phi)
    common = field * power / (np.sqrt(n * (n + 1)) * 2 * legendre)
    te, tm = 1j * common, common / (MU_0 * LIGHT)
    pairs = spherical.modes(degree, orders=(-1, 1))
    sign = pairs[:, 1]
    return Wave(pairs, te[pairs[:, 0] - 1], sign * tm[pairs[:, 0] - 1])


def wave_of_currents(sphere: LayeredSphere, points, elements, degree: int, orders=None) -> Wave:
    """Wave of current elements (Q,3) A·m, complex, or (Q,3,C) for C channels, at points (Q,3) m outside the sphere.

    Closed currents, or open ones with the charge at their ends: continuity is built in.  The modes fall as
    (outer/|point|)^n.  ValueError where a point lies within the sphere.
    """
    points = np.asarray(points, float)
    distance = np.linalg.norm(points, axis=1)
    if distance.min() <= sphere.outer:
        raise ValueError(f"wave_of_currents: all currents must lie outside the sphere of {sphere.outer:g} m, got one at {distance.min():g} m")
    pairs = spherical.modes(degree, orders)
    y, b, c = spherical.harmonics(points, pairs)
    n = pairs[:, :1]
    h, slope = (f[pairs[:, 0] - 1] for f in spherical.outgoing(sphere.omega / LIGHT * distance, degree))
    fall = (sphere.outer / distance) ** n / distance / (2 * n + 1)
    outward = (np.sqrt(n * (n + 1)) * fall * h / distance * y.conj())[..., None] * (points / distance[:, None])
    te = -1j * sphere.omega * MU_0 * np.einsum("kqc,qc...->k...", (fall * h)[..., None] * c.conj(), elements)
    tm = np.einsum("kqc,qc...->k...", outward + (fall * slope / distance)[..., None] * b.conj(), elements)
    return Wave(pairs, te, tm)


# --- fields within ----------------------------------------------------------------------------------


def fields(sphere: LayeredSphere, wave: Wave, points):
    """E (P,3) V/m and B (P,3) T at points (P,3) m within the sphere; (P,3,C) for C channels."""
    electric, magnetic = mode_fields(sphere, wave.modes, points)
    both = np.concatenate([wave.te, wave.tm])
    return tuple(np.einsum("kpc,k...->pc...", f, both) for f in (electric, magnetic))


def mode_fields(sphere: LayeredSphere, pairs, points):
    """E (2K,P,3) and B (2K,P,3) of every mode per unit coefficient, those of TE first."""
    points = np.asarray(points, float)
    radius = np.maximum(np.linalg.norm(points, axis=1), 1e-9 * sphere.outer)
    if radius.max() > sphere.outer * (1 + 1e-12):
        raise ValueError(f"fields: all points must lie within the sphere of {sphere.outer:g} m, got one at {radius.max():g} m")
    y, b, c = spherical.harmonics(points, pairs)
    layer = np.searchsorted(np.asarray(sphere.radii)[:-1], radius)
    eps = EPSILON_0 * np.asarray(sphere.permittivity, complex)[layer]
    _, te, te_curl = _vectors(sphere, pairs, points, radius, layer, (y, b, c), magnetic=False)
    _, tm, tm_curl = _vectors(sphere, pairs, points, radius, layer, (y, b, c), magnetic=True)
    electric = np.concatenate([te, tm_curl / (1j * sphere.omega * eps)[:, None]])
    return electric, np.concatenate([1j / sphere.omega * te_curl, MU_0 * tm])


def _vectors(sphere, pairs, points, radius, layer, angular, magnetic):
    """The radial function, the field f C and its curl at points, (K,P) and twice (K,P,3)."""
    y, b, c = angular
    degree = int(pairs[:, 0].max())
    value, slope = (np.zeros((degree, len(radius)), complex) for _ in range(2))
    found = radial(sphere, degree, magnetic)
    for index in np.unique(layer):
        here = layer == index
        value[:, here], slope[:, here] = _profile(sphere, index, (found.regular[index], found.outgoing[index]), radius[here], degree)
    value, slope = value[pairs[:, 0] - 1], slope[pairs[:, 0] - 1]
    n = pairs[:, :1]
    along = (np.sqrt(n * (n + 1)) * value / radius * y)[..., None] * (points / radius[:, None])
    return value, value[..., None] * c, along + (slope / radius)[..., None] * b


# --- power and the ultimate -------------------------------------------------------------------------


def mode_power(sphere: LayeredSphere, degree: int) -> tuple[np.ndarray, np.ndarray]:
    """Absorbed power (W) of each degree per unit coefficient squared, TE and TM: the flux of energy into the sphere."""
    found = []
    last, radius = len(sphere.radii) - 1, sphere.outer
    for magnetic in (False, True):
        amplitudes = radial(sphere, degree, magnetic)
        value, slope = _profile(sphere, last, (amplitudes.regular[last], amplitudes.outgoing[last]), np.asarray(radius), degree)
        eps = EPSILON_0 * complex(sphere.permittivity[last])
        te = -np.imag(value * slope.conj()) / MU_0
        tm = np.real(slope / (1j * eps) * value.conj())
        found.append(0.5 * radius / sphere.omega * (tm if magnetic else te))
    return tuple(found)


def power_matrix(sphere: LayeredSphere, wave: Wave) -> np.ndarray:
    """Absorbed power as a Hermitian form (C,C) W of the channels; a number for one wave."""
    te, tm = mode_power(sphere, int(wave.modes[:, 0].max()))
    each = np.concatenate([te[wave.modes[:, 0] - 1], tm[wave.modes[:, 0] - 1]])
    both = np.concatenate([wave.te, wave.tm])
    if both.ndim == 1:
        return float(each @ np.abs(both) ** 2)
    return both.conj().T @ (each[:, None] * both)


def ultimate_sensitivity(sphere: LayeredSphere, points, degree: int, axis=(0.0, 0.0, 1.0)) -> np.ndarray:
    """Largest |B1|^2 over absorbed power (P,) T^2/W at points (P,3) m that any currents outside can make.

    B1 is the component that rotates about `axis` in the receive sense, (B_x - j B_y)/2 for z.  The signal-to-noise
    ratio of a receiver whose noise is the body's grows as its square root.
    """
    pairs = spherical.modes(degree)
    _, magnetic = mode_fields(sphere, pairs, points)
    te, tm = mode_power(sphere, degree)
    each = np.concatenate([te[pairs[:, 0] - 1], tm[pairs[:, 0] - 1]])
    receive = magnetic @ rotating(axis).conj()
    return np.sum(np.abs(receive) ** 2 / each[:, None], axis=0)


def ultimate_map(sphere: LayeredSphere, points, degree: int, axis=(0.0, 0.0, 1.0)) -> np.ndarray:
    """`ultimate_sensitivity` at many points (P,3) m: it depends on radius and angle to the axis only, so a table is interpolated.

    Within 1 % of the values themselves; the modes must reach the outermost points.
    """
    from scipy.interpolate import RegularGridInterpolator

    axis, points = np.asarray(axis, float) / np.linalg.norm(axis), np.asarray(points, float)
    radius = np.linalg.norm(points, axis=1)
    cosine = np.abs(points @ axis) / np.maximum(radius, 1e-12)
    across = np.cross(np.eye(3)[np.argmin(np.abs(axis))], axis)
    across /= np.linalg.norm(across)
    r, angle = np.linspace(0, radius.max(), 25), np.linspace(0, np.pi / 2, 10)
    at = np.sin(angle)[:, None] * across + np.cos(angle)[:, None] * axis
    table = ultimate_sensitivity(sphere, (r[:, None, None] * at).reshape(-1, 3), degree, axis).reshape(25, 10)
    read = RegularGridInterpolator((r, angle), np.log(table), method="cubic")
    return np.exp(read(np.stack([radius, np.arccos(np.clip(cosine, 0, 1))], axis=1)))


def rotating(axis) -> np.ndarray:
    """Weights (3,) complex of the transmit component: B @ rotating(z) = (B_x + j B_y)/2; conjugated, the receive one."""
    axis = np.asarray(axis, float) / np.linalg.norm(axis)
    first = np.cross(np.eye(3)[1], axis) if abs(axis[1]) < 0.9 else np.cross(axis, np.eye(3)[0])
    first /= np.linalg.norm(first)
    return (first + 1j * np.cross(axis, first)) / 2
