"""Eddy currents: closed forms of shells and solid conductors, and the currents that sheets induce in thin meshed shells.

A shell of sheet resistance R_s = 1/(conductivity x thickness) carries a stream function x with

    L x' + R x + M psi' = 0,        L v = tau R v,  v'R v = 1

so each mode v is a circuit of time constant tau and one ohm, linked to the coil by the flux m = v'M psi per mode ampere.
Thin: the skin depth of the shell's metal exceeds its thickness.  Derivations: docs/physics-gradient-limits.md.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import linalg, sparse
from scipy.special import ivp, jn_zeros, kvp

from designtools.formers.mesh import SurfaceMesh
from designtools.formers.symmetry import Symmetry, orbits, vertex_basis
from designtools.kernels import face_inductance
from designtools.problem import Design, Quantity
from designtools.quantities.energy import SheetModel, inductance_matrix
from designtools.quantities.linear import on_streams
from designtools.regions import Region
from designtools.sources.sheet import current_operator, face_areas
from designtools.sources.sheet_operator import field_operator
from designtools.units import MU_0

# --- closed forms ---------------------------------------------------------------------------------


def cylinder_time_constant(radius: float, thickness: float, conductivity: float, order: int, wavenumber: float = 0.0) -> float:
    """Decay time (s) of currents cos(order phi) cos(wavenumber z) in an infinite thin cylinder (m, m, S/m, 1/m).

    mu0 sigma d a x^2 (-K_m'(x) I_m'(x)) / (x^2 + m^2) with x = k a; k -> 0: mu0 sigma a d / (2 max(m, 1)).
    """
    unit, x = MU_0 * conductivity * thickness * radius, abs(wavenumber) * radius
    if x < 1e-6:
        return unit / (2 * max(order, 1))
    return float(unit * x**2 * -kvp(order, x) * ivp(order, x) / (x**2 + order**2))


def sphere_time_constant(radius: float, thickness: float, conductivity: float, degree: int) -> float:
    """Decay time (s) of currents of one harmonic degree in a thin spherical shell: mu0 sigma d a / (2 l + 1)."""
    return MU_0 * conductivity * thickness * radius / (2 * degree + 1)


def solid_sphere_decay(radius: float, conductivity: float) -> float:
    """Longest decay time (s) of a field in a solid sphere: mu0 sigma R^2 / pi^2 (Wait, Geophysics 16 (1951) 666)."""
    return MU_0 * conductivity * radius**2 / np.pi**2


def solid_cylinder_decay(radius: float, conductivity: float) -> float:
    """Longest decay time (s) of a field, axial or transverse, in a solid infinite cylinder: mu0 sigma R^2 / j_01^2."""
    return MU_0 * conductivity * radius**2 / jn_zeros(0, 1)[0] ** 2


def transfer(frequency, time_constant):
    """Field inside a shell of one time constant (s) over the field applied, at frequency (Hz): 1/(1 + i w tau), complex."""
    return 1 / (1 + 2j * np.pi * np.asarray(frequency) * time_constant)


def perfect_shield_ratio(primary_radius: float, shield_radius: float, order: int, wavenumber: float = 0.0) -> float:
    """Azimuthal current density of a perfect shield over that of the primary, one Fourier component of cylinders (m, 1/m).

    -a I_m'(ka) / (b I_m'(kb)) (R. Turner & R. M. Bowley, J. Phys. E 19 (1986) 876); k -> 0: -(a/b)^m, and -(a/b)^2
    for m = 0.
    """
    ratio = primary_radius / shield_radius
    if abs(wavenumber) * shield_radius < 1e-6:
        return -(ratio ** (order or 2))
    return float(-ratio * ivp(order, wavenumber * primary_radius) / ivp(order, wavenumber * shield_radius))


def preemphasis(amplitudes, time_constants) -> tuple[np.ndarray, np.ndarray]:
    """Overshoot amplitudes (N,) and time constants (N,) s that make the field follow the demand exactly.

    The field misses a_i exp(-t/tau_i) of each unit step: P(s) = 1 - sum a_i s tau_i/(1 + s tau_i).  Its inverse is
    1 + sum b_j s T_j/(1 + s T_j) with -1/T_j the zeros of P and b_j = 1/(s_j P'(s_j)): not a_i and tau_i themselves,
    which leave a second-order error.  One exponential: a/(1 - a) and tau (1 - a).
    """
    a, tau = (np.atleast_1d(np.asarray(v, float)) for v in (amplitudes, time_constants))
    if a.shape != tau.shape or np.any(tau <= 0) or a.sum() >= 1:
        raise ValueError(
            f"preemphasis: time constants must be positive and one per amplitude, and amplitudes sum to less than 1, got "
            f"{a.tolist()} and {tau.tolist()}; leave out what the coil does not make"
        )
    zero = np.linalg.eigvals(-np.diag(1 / tau) - np.outer(1 / tau, a) / (1 - a.sum())).real
    slope = -(a * tau / (1 + zero[:, None] * tau) ** 2).sum(axis=1)
    order = np.argsort(zero)[::-1]
    return (1 / (zero * slope))[order], (-1 / zero)[order]


# --- meshed shells --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Shell:
    """A thin conducting layer: its mesh with the basis of its stream function, and R_s (ohm) = 1/(conductivity x thickness)."""

    model: SheetModel
    sheet_resistance: float


@dataclass(frozen=True)
class EddyModes:
    """Shells as independent circuits of 1 ohm, linked to coils.

    time_constants (M,) s, longest first; streams: part -> (V,M) stream function (A) of a shell per mode ampere;
    flux: coil part -> (M,V) Wb per mode ampere and ampere of the coil's stream function, within the coil's basis.
    """

    shells: tuple[Shell, ...]
    time_constants: np.ndarray
    streams: dict
    flux: dict


def shell(name: str, mesh: SurfaceMesh, thickness: float, conductivity: float, symmetry: Symmetry | None = None) -> Shell:
    """A shell of thickness (m) and conductivity (S/m) on a mesh; current closes within it, psi being constant on each rim.

    symmetry: of the coils and all shells together, with the sign of the coils' stream functions; None: none used.
    """
    group = symmetry or Symmetry(np.eye(3)[None], np.array([1]), (), np.zeros(3))
    faces, counts = orbits(mesh.corner.mean(axis=1), group)
    model = SheetModel(name, mesh.vertices, mesh.faces, faces, counts, vertex_basis(mesh, group))
    return Shell(model, 1 / (conductivity * thickness))


def eddy_modes(shells: list[Shell], coils: list[SheetModel]) -> EddyModes:
    """All modes of the shells together, coupled to each other, and their flux from the coils."""
    models = [s.model for s in shells]
    resistance = linalg.block_diag(*(_resistance(s) for s in shells))
    tau, vectors = linalg.eigh(inductance_matrix(models), resistance)
    tau, vectors = np.maximum(tau[::-1], 0.0), vectors[:, ::-1]
    pieces = np.split(vectors, np.cumsum([m.basis.shape[1] for m in models])[:-1])
    streams = {m.part: m.basis @ piece for m, piece in zip(models, pieces)}
    linked = lambda coil: sum(piece.T @ _mutual(m, coil) for m, piece in zip(models, pieces))
    flux = {coil.part: (coil.basis @ linked(coil).T).T for coil in coils}
    return EddyModes(tuple(shells), tau, streams, flux)


def _resistance(item: Shell) -> np.ndarray:
    """R (K,K) ohm: power x'Rx of the stream function basis @ x."""
    model = item.model
    flow = sparse.csr_array(current_operator(model.vertices, model.triangles) @ model.basis)
    area = np.asarray(face_areas(model.vertices[model.triangles]))
    return (flow.T @ sparse.diags_array(item.sheet_resistance * np.repeat(area, 3)) @ flow).toarray()


def _mutual(a: SheetModel, b: SheetModel) -> np.ndarray:
    """M (K_a,K_b) H between the coefficients of two sheets; the faces of a are one per orbit."""
    flow = [sparse.csr_array(current_operator(m.vertices, m.triangles) @ m.basis) for m in (a, b)]
    seen = flow[0][(3 * a.faces[:, None] + np.arange(3)).ravel()]
    weight = sparse.diags_array(np.repeat(MU_0 / (4 * np.pi) * a.counts, 3))
    return face_inductance.coupling(a.vertices[a.triangles[a.faces]], b.vertices[b.triangles], weight @ seen, flow[1])


def mode_fields(modes: EddyModes, points, direction) -> np.ndarray:
    """B.direction (P,M) T at points (P,3) m of each mode at one mode ampere."""
    along = lambda m: np.einsum("pcv,c->pv", field_operator(m.vertices, m.triangles, points), np.asarray(direction, float))
    return sum(along(s.model) @ modes.streams[s.model.part] for s in modes.shells)


def after_ramp(time_constants, time: float, duration: float) -> np.ndarray:
    """Mode amperes (M,) per Wb of flux, `time` (s) after the end of a linear ramp from zero that took `duration` (s)."""
    tau = np.maximum(time_constants, 1e-12 * max(time, duration, 1e-9))
    rise = -np.expm1(-duration / tau) / duration if duration > 0 else 1 / tau
    return -rise * np.exp(-time / tau)


def residual_field(modes: EddyModes, region: Region, direction, time: float, duration: float, name: str = "eddy field") -> Quantity:
    """B.direction (P,) T of the eddy currents, `time` after the coils were ramped linearly from zero within `duration` (s).

    Between coils that do not move and shells.  An optimiser cheats at other times: hold it at two, early and late.
    """
    seen = mode_fields(modes, region.points, direction) * after_ramp(modes.time_constants, time, duration)
    return on_streams(name, "T", {part: seen @ flux for part, flux in modes.flux.items()}, cheat="other times after the ramp")


def power_residual(modes: EddyModes, frequencies, amplitudes=1.0, name: str = "eddy power") -> Quantity:
    """Residual (M,) whose sum of squares is the mean power (W) in the shells under sinusoids.

    frequencies (N,) Hz, with the coils' stream functions times amplitudes (N,) as peak values (a waveform's Fourier
    components add up).  A mode of flux m takes w^2 m^2 / (2 (1 + w^2 tau^2)).
    """
    w, share = np.broadcast_arrays(2 * np.pi * np.atleast_1d(frequencies), amplitudes)
    each = (share * w) ** 2 / (2 * (1 + np.square(np.outer(modes.time_constants, w))))
    size = np.sqrt(each.sum(axis=1))[:, None]
    return on_streams(name, "sqrt(W)", {part: size * flux for part, flux in modes.flux.items()}, cheat="other frequencies")


def linked_flux(modes: EddyModes, source) -> np.ndarray:
    """Flux (M,) Wb of `source`, such as wires, through each mode: integral of K.A over the shells, by edge midpoints."""
    total = np.zeros(len(modes.time_constants))
    for item in modes.shells:
        model = item.model
        edges, own = np.unique(np.sort(model.triangles[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), axis=1), axis=0, return_inverse=True)
        at_edges = np.asarray(source.potential(model.vertices[edges].mean(axis=1)))
        potential = at_edges[own.reshape(-1, 3)].mean(axis=1)
        area = np.asarray(face_areas(model.vertices[model.triangles]))
        flow = current_operator(model.vertices, model.triangles)
        total += (flow.T @ (area[:, None] * potential).ravel()) @ modes.streams[model.part]
    return total


def step_response(modes: EddyModes, source, region: Region, direction, weights, smallest: float = 1e-4):
    """Amplitudes (N,) and time constants (N,) s of what the eddy currents take from a step of the source's field.

    source: a Design of the coil's sheets, or its wires.

    The reading is weights (P,) @ B.direction over the region, such as a fitted gradient; amplitudes are relative to the
    source's own, positive where the shell opposes.  Modes within 2 % in time constant count as one; those above
    `smallest` are kept, longest first.  Input of `preemphasis`.
    """
    direction, weights = np.asarray(direction, float), np.asarray(weights, float)
    own = weights @ (np.asarray(source.field(region.points)) @ direction)
    if isinstance(source, Design):
        linked = sum(flux @ np.asarray(source.parts[part].stream) for part, flux in modes.flux.items())
    else:
        linked = linked_flux(modes, source)
    tau = modes.time_constants[modes.time_constants > 1e-9 * modes.time_constants[0]]
    amplitude = ((weights @ mode_fields(modes, region.points, direction)) * linked / own)[: len(tau)] / tau
    return _merged(amplitude, tau, smallest)


def _merged(amplitude, tau, smallest):
    """Sums over modes of nearly equal time constant, and their mean time constants, weighted by size."""
    group = np.concatenate([[0], np.cumsum(np.diff(np.log(tau)) < -0.02)])
    size = np.abs(amplitude) + 1e-300
    total = np.bincount(group, amplitude)
    mean = np.bincount(group, size * tau) / np.bincount(group, size)
    kept = np.abs(total) > smallest
    return total[kept], mean[kept]
