"""Sound of gradient coils: resonances of shells and ducts, Lorentz force on mechanical modes, spectra, weighting.

    pressure    p = (K x B0).n                                              Pa, n outward
    mode        M (q'' + 2 zeta w q' + w^2 q) = integral of p W dA          W its shape, M its modal mass

The sum over modes is an estimate: real coils have mounts, heads of epoxy and air.  Use it to compare designs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import jnp_zeros

from designtools.problem import Quantity
from designtools.quantities.linear import on_streams
from designtools.sources.sheet import current_operator

# --- resonances ---------------------------------------------------------------------------------------


def duct_cut_on(radius: float, order: int, root: int = 1, speed: float = 343.0) -> float:
    """Frequency (Hz) from which the mode (order, root) runs along a round bore of `radius` (m): c j'_{n,s}/(2 pi R).

    For order 0 the plane wave, which always runs, is not counted: root 1 is 3.8317.
    """
    return speed * jnp_zeros(order, root)[-1] / (2 * np.pi * radius)


@dataclass(frozen=True)
class ShellBody:
    """A cylindrical wall: radius, thickness, length (m), modulus E (Pa), density (kg/m3), Poisson's ratio."""

    radius: float
    thickness: float
    length: float
    modulus: float
    density: float
    poisson: float = 0.3

    @property
    def breathing(self) -> float:
        """Frequency (Hz) of the ring mode of an infinite cylinder: sqrt(E/(rho (1 - nu^2)))/(2 pi R)."""
        return float(np.sqrt(self.modulus / (self.density * (1 - self.poisson**2))) / (2 * np.pi * self.radius))

    def frequency(self, order: int, waves: int) -> float:
        """Frequency (Hz) of cos(order phi) sin(waves pi z/L), ends simply supported (Donnell; rough for order 1 and 2)."""
        axial = waves * np.pi * self.radius / self.length
        square = order**2 + axial**2
        membrane = (1 - self.poisson**2) * axial**4 / square**2
        bending = self.thickness**2 / (12 * self.radius**2) * square**2
        return float(self.breathing * np.sqrt(membrane + bending))

    def ring_frequency(self, order: int) -> float:
        """Frequency (Hz) of in-plane bending of a free ring, order >= 2 (R. Hoppe 1871; Love, sec. 293)."""
        stiffness = self.modulus * self.thickness**2 / (12 * self.density * self.radius**4)
        return float(np.sqrt(stiffness) * order * (order**2 - 1) / np.sqrt(order**2 + 1) / (2 * np.pi))

    def mass(self, order: int) -> float:
        """Modal mass (kg): density x thickness x integral of W^2 over the wall."""
        round_about = 2 * np.pi if order == 0 else np.pi
        return self.density * self.thickness * self.radius * round_about * self.length / 2

    def breathing_displacement(self, pressure):
        """Static radial displacement (m) under a uniform pressure (Pa): p R^2/(E h)."""
        return pressure * self.radius**2 / (self.modulus * self.thickness)


def lorentz_pressure(current_density, flux_density):
    """Pressure (Pa) of K (A/m) across B (T)."""
    return current_density * flux_density


# --- Lorentz force on modes ---------------------------------------------------------------------------


@dataclass(frozen=True)
class WallMode:
    """Radial shape W = cos or sin(order phi) x sin(waves pi (z + L/2)/L) of a wall; kind "cosine" or "sine"."""

    order: int
    waves: int
    kind: str = "cosine"

    def shape(self, former, points) -> np.ndarray:
        """W (P,) at points (P,3) m; former: the wall's `Cylinder`, whose length is L."""
        azimuth, z = former.inverse(points).T
        turn = np.cos if self.kind == "cosine" else np.sin
        return turn(self.order * azimuth) * np.sin(self.waves * np.pi * (z / former.length + 0.5))


def wall_modes(orders: int, waves: int) -> list[WallMode]:
    """All modes with order 0 to `orders` and 1 to `waves` half waves along the wall."""
    kinds = lambda n: ("cosine",) if n == 0 else ("cosine", "sine")
    return [WallMode(n, m, kind) for n in range(orders + 1) for m in range(1, waves + 1) for kind in kinds(n)]


def modal_force(sheets: dict, background, former, modes: list[WallMode], name: str = "modal force") -> Quantity:
    """Force (M,) N of the sheets in the field of `background` (a source) on each radial mode of a wall: integral of p W dA.

    sheets: part -> (vertices (V,3), faces (F,3)), all bonded to the wall `former` (a Cylinder).  Edge-midpoint rule.
    An optimiser cheats with modes that are not listed.
    """
    matrices = {part: _force_matrix(*mesh, background, former, modes) for part, mesh in sheets.items()}
    return on_streams(name, "N", matrices, cheat="modes that are not listed")


def wire_modal_force(source, background, former, modes: list[WallMode]) -> np.ndarray:
    """Force (M,) N of straight segments (`Filaments`) on each radial mode of the wall they are bonded to: sum of (I dl x B).n W."""
    start, end = np.asarray(source.start), np.asarray(source.end)
    middle = (start + end) / 2
    push = np.cross(np.asarray(source.current)[:, None] * (end - start), np.asarray(background.field(middle)))
    outward = np.sum(push * former.normal(former.inverse(middle)), axis=1)
    return np.stack([mode.shape(former, middle) for mode in modes]) @ outward


def _force_matrix(vertices, faces, background, former, modes) -> np.ndarray:
    """Matrix (M,V) N/A."""
    corners = np.asarray(vertices, float)[np.asarray(faces)]
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])  # twice the area
    middles = (corners + np.roll(corners, 1, axis=1)) / 2
    points = middles.reshape(-1, 3)
    turned = np.cross(np.asarray(background.field(points)).reshape(middles.shape), normal[:, None, :]) / 6
    shapes = np.stack([mode.shape(former, points) for mode in modes]).reshape(len(modes), len(faces), 3)
    weight = np.einsum("mfs,fsc->mfc", shapes, turned).reshape(len(modes), -1)  # (K x B).n = K.(B x n)
    return (current_operator(vertices, faces).T @ weight.T).T


# --- response -----------------------------------------------------------------------------------------


def velocity_response(frequency, natural, mass, damping):
    """|velocity| (m/s) of a mode per newton of modal force at `frequency` (Hz): w / (M |w0^2 - w^2 + 2 i zeta w0 w|).

    natural (Hz), mass (kg) and damping (of critical) broadcast.
    """
    w, w0 = 2 * np.pi * np.asarray(frequency), 2 * np.pi * np.asarray(natural)
    return w / (np.asarray(mass) * np.hypot(w0**2 - w**2, 2 * np.asarray(damping) * w0 * w))


def vibration_residual(sheets: dict, background, former, wall: ShellBody, modes: list[WallMode], frequencies, damping: float = 0.02) -> Quantity:
    """Residual (M,) whose sum of squares is the mean square velocity (m2/s2) of the wall's surface.

    Under sinusoids at `frequencies` (N,) Hz, each with the stream functions as peak values; the rest as `modal_force`,
    with the same geometry in `wall` as in `former`.
    """
    size = surface_velocity_weights(wall, modes, frequencies, damping)[:, None]
    matrices = {part: size * _force_matrix(*mesh, background, former, modes) for part, mesh in sheets.items()}
    return on_streams("wall vibration", "m/s", matrices, cheat="other frequencies and modes")


def surface_velocity_weights(wall: ShellBody, modes: list[WallMode], frequencies, damping: float = 0.02) -> np.ndarray:
    """(M,) m/s per newton: root of the mean over time and wall of the square velocity that each modal force makes."""
    natural = np.array([wall.frequency(mode.order, mode.waves) for mode in modes])[:, None]
    mass = np.array([wall.mass(mode.order) for mode in modes])[:, None]
    mean_square = np.array([0.5 if mode.order == 0 else 0.25 for mode in modes])
    response = velocity_response(np.atleast_1d(frequencies), natural, mass, damping)
    return np.sqrt((response**2).sum(axis=1) / 2 * mean_square)


def level_difference(mean_square, reference):
    """10 log10 of two mean squares of velocity or pressure (dB): how much louder than a reference coil."""
    return 10 * np.log10(np.asarray(mean_square) / np.asarray(reference))


# --- spectra ------------------------------------------------------------------------------------------


def a_weighting(frequency):
    """A-weighting (dB) at `frequency` (Hz), 0 dB at 1 kHz: analogue poles 20.6, 107.7, 737.9 and 12194 Hz (IEC 61672)."""
    return 20 * np.log10(_a_gain(np.asarray(frequency, float)) / _a_gain(1000.0))


def _a_gain(f):
    low, first, second, high = 20.6**2, 107.7**2, 737.9**2, 12194.0**2
    s = f**2
    return high * s**2 / ((s + low) * np.sqrt((s + first) * (s + second)) * (s + high))


def trapezoid_spectrum(frequency, flat: float, ramp: float):
    """|G(f)| (s) of a trapezoid of height 1: w |sinc(f w)| |sinc(f r)| with w = flat + ramp (s); zeros at k/w and k/ramp.

    A width of 1/f cancels the resonance at f.
    """
    width, f = flat + ramp, np.asarray(frequency, float)
    return width * np.abs(np.sinc(f * width) * np.sinc(f * ramp))


def spectrum_zeros(flat: float, ramp: float) -> tuple[float, float]:
    """First zeros (Hz) of both families of `trapezoid_spectrum`: 1/(flat + ramp) and 1/ramp."""
    return 1 / (flat + ramp), 1 / ramp
