"""Gradient coils on surfaces of any shape: from the spec to a convex problem in the stream function, and to wires.

The convex problem (Turner 1993; Poole & Bowtell 2007; Lemdiasov & Ludwig 2005): minimise dissipated power,
stored energy and peak current density of the sheets, while the encoded component B.b0 stays within the error
allowed at every target point, |B| within the stray limit on the surface outside, the current density
within what the conductor's pitch allows, and force and torque within theirs.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.spatial import cKDTree

from designtools import regions, units
from designtools.formers import symmetry as symmetries
from designtools.formers.mesh import SurfaceMesh
from designtools.problem import Design, Free, Limit, Problem, Term
from designtools.quantities import energy, field, force, sheet
from designtools.recipes import targets
from designtools.recipes.product import Product, Recipe
from designtools.recipes.surfaces import Patch, joined_mesh, patches, still_groups
from designtools.regions import Region
from designtools.solve import convex
from designtools.solve.solution import Solution
from designtools.sources import Assembly, Sheet
from designtools.units import MU_0
from designtools.windings import join
from designtools.windings.spacing import wire_spacing
from designtools.windings.winding import Winding

TARGET_ORDER = 60  # harmonic degree integrated exactly by the target points
VOLUME_ORDER = 10  # the same for the points of the fitted gradient
RESERVE = 0.03  # of the error allowed, kept for what turns and joints add
JOG = 1.0  # length of a jog over what it steps aside: long jogs tilt the few turns of a shield
SLOPE_BAND = 1e-4  # relative
UNIQUE = 1e-3  # weight of the power beside a peak objective, so that the pattern away from the peak is unique


@dataclass(frozen=True)
class Layer:
    """One current-carrying surface, of one or several patches: its mesh, and one basis, face and count per symmetry orbit."""

    name: str
    patches: tuple[Patch, ...]
    mesh: SurfaceMesh
    basis: sparse.spmatrix
    faces: np.ndarray
    counts: np.ndarray


@dataclass(frozen=True)
class Setting:
    """The geometry of the task: everything the later hops share.  Points are one per symmetry orbit.

    shape: points -> u (m), the field wanted over target.strength; size (m): radius of the primary, or how near it comes.
    """

    spec: object
    frame: np.ndarray
    layers: tuple[Layer, ...]
    symmetry: symmetries.Symmetry
    target: Region
    stray: Region | None
    shape: Callable
    size: float

    @property
    def b0(self) -> np.ndarray:
        return np.asarray(self.spec.frame.b0_axis, float)

    @property
    def centre(self) -> np.ndarray:
        return np.asarray(self.spec.region.centre, float)

    def distance(self, points) -> np.ndarray:
        """u (P,) m: of a linear target the signed distance from the centre of the region along the gradient axis."""
        return self.shape(np.asarray(points))

    @property
    def reach(self) -> float:
        """Largest |u| in the region (m)."""
        return targets.reach_of(self.spec, self.shape)

    @property
    def direction(self) -> np.ndarray:
        """The axis (3,) along which the report looks: the gradient axis, or one across the bore."""
        axis = self.spec.target.gradient_axis
        return self.frame[0] if axis is None else np.asarray(axis, float)


# --- from the spec to geometry ------------------------------------------------------------------


def prepare(spec) -> Setting:
    """Meshes, their common symmetry with the task, and the points at which the field is held."""
    frame, shape = coil_frame(spec), targets.shape_of(spec)
    parts = {name: patches(name, s, frame, spec.target.gradient_axis, spec.mesh.resolution) for name, s in spec.layers.items()}
    meshes = {name: joined_mesh(found) for name, found in parts.items()}
    margin = (spec.conductor.width + spec.conductor.spacing) / 2
    still = {name: still_groups(mesh, spec.keep_out, margin) for name, mesh in meshes.items()}
    size = _size(spec, meshes["primary"])
    found = _symmetry(spec, frame, meshes, still, shape, size)
    layers = tuple(_layer(name, parts[name], mesh, found, still[name]) for name, mesh in meshes.items())
    stray = _stray_region(spec, frame)
    target = _folded(_target_region(spec), found)
    return Setting(spec, frame, layers, found, target, stray and _folded(stray, found), shape, size)


def _size(spec, primary: SurfaceMesh) -> float:
    """Radius of the primary (m); of a surface that is no tube, how near it comes to the centre of the region."""
    if spec.primary.tube:
        return spec.primary.inner_radius
    away = np.linalg.norm(primary.vertices - np.asarray(spec.region.centre), axis=1)
    return float(away.min())


def coil_frame(spec) -> np.ndarray:
    """Rows: two directions across the bore, the first along the gradient (or B0) where it has a part across; the bore."""
    bore = np.asarray(spec.frame.bore_axis, float)
    wishes = [spec.target.gradient_axis, spec.frame.b0_axis, (1.0, 0.0, 0.0), (0.0, 1.0, 0.0)]
    for wish in (w for w in wishes if w is not None):
        across = np.asarray(wish, float) - bore * np.dot(wish, bore)
        if np.linalg.norm(across) > 1e-9:
            first = across / np.linalg.norm(across)
            return np.stack([first, np.cross(bore, first), bore])
    raise AssertionError("two different axes cannot both be parallel to the bore")


def _target_region(spec) -> Region:
    """The surface of the region: the error is harmonic, so its extremes lie there."""
    return regions.ellipsoid(spec.region.half_widths, spec.region.centre, TARGET_ORDER, "target")


def _volume(spec) -> Region:
    """Quadrature points inside the region, over which the best-fitting gradient is taken."""
    unit = regions.ball(1.0, order=VOLUME_ORDER)
    points = np.asarray(spec.region.centre, float) + unit.points * np.asarray(spec.region.half_widths, float)
    return Region(points, unit.weights, "volume")


def _stray_region(spec, frame) -> Region | None:
    if spec.stray is None:
        return None
    n_z = 2 * max(10, round(spec.stray.length / spec.stray.radius * 10)) + 1
    return regions.cylinder(spec.stray.radius, spec.stray.length, 56, n_z, frame, "stray")


def _symmetry(spec, frame, meshes, still, shape, size: float) -> symmetries.Symmetry:
    vertices = meshes["primary"].vertices
    origin = (vertices.min(axis=0) + vertices.max(axis=0)) / 2
    rims = [len(rim) for mesh in meshes.values() for rim in mesh.boundaries[:1]]
    held = [mesh.vertices[np.unique(np.concatenate(still[name]))] for name, mesh in meshes.items() if len(still[name])]

    def sign_of(q):
        same = all(_same_points((points - origin) @ q.T + origin, points) for points in held)
        return _stream_sign(spec, q, origin, shape, size) if same else 0

    return symmetries.find(list(meshes.values()), frame, origin, sign_of, int(np.gcd.reduce(rims or [4])))


def _same_points(a, b) -> bool:
    return cKDTree(b).query(a)[0].max() < 1e-7 * max(np.ptp(b, axis=0).max(), 1e-12)


def _stream_sign(spec, q: np.ndarray, origin: np.ndarray, shape, size: float) -> int:
    """Sign psi takes under the map q about `origin`, or 0 where q does not carry the task onto itself.

    B(Qx) = s Q B(x), so the component along b gets s times the sign of b under Q, and must equal the
    sign of the wanted field under Q.
    """
    held = [np.asarray(spec.region.centre, float)] + ([np.zeros(3)] if spec.stray else [])
    form = np.diag(np.square(spec.region.half_widths))
    carried = all(np.allclose(q @ (p - origin) + origin, p, atol=1e-9) for p in held)
    carried = carried and np.allclose(q @ form @ q.T, form, rtol=1e-9)
    if not (carried and _magnet_is_carried(spec, q, size)):
        return 0
    return _sign_under(q, spec.frame.b0_axis) * _shape_sign(shape, q, origin, held[0], size)


def _shape_sign(shape, q: np.ndarray, origin, centre, size: float) -> int:
    """Sign the wanted field takes under the map, 0 for neither."""
    here = centre + np.random.default_rng(1).uniform(-1, 1, (20, 3)) * size
    value, image = shape(here), shape((here - origin) @ q.T + origin)
    return next((s for s in (1, -1) if np.allclose(image, s * value, rtol=0, atol=1e-9 * np.abs(value).max())), 0)


def _sign_under(q: np.ndarray, axis) -> int:
    along = float(np.dot(q @ np.asarray(axis, float), axis))
    return int(np.sign(along)) if abs(abs(along) - 1) < 1e-9 else 0


def _magnet_is_carried(spec, q: np.ndarray, size: float) -> bool:
    """Whether the magnet's field goes over into itself up to a sign; asked only where a limit needs it."""
    if spec.limits.torque is None and spec.limits.net_force is None:
        return True
    here = np.random.default_rng(0).uniform(-1, 1, (8, 3)) * size
    b = np.asarray(background(spec).field(here))
    image = np.asarray(background(spec).field(here @ q.T))
    return any(np.allclose(image, s * b @ q.T, rtol=1e-9, atol=1e-9 * np.abs(b).max()) for s in (1, -1))


def _layer(name, parts, mesh, found, still) -> Layer:
    faces, counts = symmetries.orbits(mesh.corner.mean(axis=1), found)
    return Layer(name, parts, mesh, symmetries.vertex_basis(mesh, found, still), faces, counts)


def _folded(region: Region, found) -> Region:
    """One point per orbit; its weight is that of the orbit."""
    index, count = symmetries.orbits(region.points, found)
    weights = region.weights[index] * count
    return Region(region.points[index], weights / weights.sum(), region.name)


def background(spec):
    """The magnet in whose field force and torque are taken: its blocks where listed, else homogeneous B0."""
    from designtools.recipes.background import magnet_field

    return magnet_field(spec)


# --- the convex problem -------------------------------------------------------------------------


def problem(setting: Setting, densest: float | None = None) -> Problem:
    """The convex problem of the stream function at target.strength.

    densest: current density (A/m) at which tracks of the conductor's width and spacing still fit side by side.
    """
    spec, layers = setting.spec, setting.layers
    parts = {l.name: Sheet(l.mesh.vertices, l.mesh.faces, np.zeros(len(l.mesh.vertices))) for l in layers}
    bound = 1e3 * natural_stream(spec, setting.size)
    free = [Free(lambda d, n=l.name: d.parts[n].stream, -bound, bound, l.name, l.basis) for l in layers]
    return Problem(Design(parts), free, _objective(setting), _limits(setting, densest))


def natural_stream(spec, size: float) -> float:
    """psi0 (A) of the sphere of radius `size` m with the gradient wanted: psi0 = G a^2 / (0.6 mu0)."""
    return spec.target.strength * size**2 / (0.6 * MU_0)


def natural_scales(spec, size: float) -> dict[str, float]:
    """Power (W), energy (J) and current density (A/m) that count as 1: those of the spherical x z / r^2 sheet of that radius.

    P/G^2 = (40 pi/9)(rho/t) a^4/mu0^2 and L/eta^2 = 8 pi a^5/(9 mu0) are its closed forms.
    """
    a, g = size, spec.target.strength
    return {
        "power": 40 * np.pi / 9 * sheet_resistance(spec) * a**4 * g**2 / MU_0**2,
        "stored_energy": 4 * np.pi * a**5 * g**2 / (9 * MU_0),
        "peak_current_density": natural_stream(spec, size) / a,
    }


def sheet_resistance(spec) -> float:
    """Resistivity over thickness (ohm) of the conductor laid without gaps."""
    return spec.conductor.effective_resistivity / spec.conductor.thickness


def _objective(setting: Setting) -> list[Term]:
    spec, scales = setting.spec, natural_scales(setting.spec, setting.size)
    weights = spec.objective
    power_weight = weights.power or (0 if weights.stored_energy else UNIQUE * weights.peak_current_density)
    terms = []
    if power_weight:
        terms += [Term(_power(l, spec), scale=scales["power"] ** 0.5, weight=power_weight) for l in setting.layers]
    if weights.stored_energy:
        residual = energy.stored_energy_residual([sheet_model(l) for l in setting.layers])[0]
        terms.append(Term(residual, scale=scales["stored_energy"] ** 0.5, weight=weights.stored_energy))
    if weights.peak_current_density:
        peak = scales["peak_current_density"]
        terms.append(Term(_density_of_all(setting), "peak", peak, weights.peak_current_density))
    return terms


def sheet_model(layer: Layer) -> energy.SheetModel:
    """What the energy of a layer needs."""
    mesh = layer.mesh
    return energy.SheetModel(layer.name, mesh.vertices, mesh.faces, layer.faces, layer.counts, layer.basis)


def _power(layer: Layer, spec):
    mesh = layer.mesh
    return sheet.power_residual(layer.name, layer.faces, layer.counts, mesh.vertices, mesh.faces, sheet_resistance(spec))


def _density(layer: Layer):
    return sheet.surface_current_density(layer.name, layer.faces, layer.mesh.vertices, layer.mesh.faces)


def _density_of_all(setting: Setting):
    import jax.numpy as jnp

    from designtools.problem import Quantity

    each = [_density(l) for l in setting.layers]
    return Quantity("surface current density", "A/m", lambda d: jnp.concatenate([q.of(d) for q in each]))


def _limits(setting: Setting, densest: float | None) -> list[Limit]:
    spec = setting.spec
    limits = [_field_limit(setting), _slope_limit(setting)]
    if setting.stray is not None:
        q = field.flux_density(setting.stray)
        limits.append(Limit(q, upper=spec.stray.limit, norm="row", scale=spec.stray.limit, label="stray.limit"))
    limits += _density_limits(setting, densest)
    names = [l.name for l in setting.layers]
    if spec.limits.torque is not None:
        limits.append(_cone(force.sheet_torque(names, background(spec)), spec.limits.torque, "limits.torque"))
    if spec.limits.net_force is not None:
        limits.append(_cone(force.sheet_force(names, background(spec)), spec.limits.net_force, "limits.net_force"))
    return limits


def _field_limit(setting: Setting) -> Limit:
    spec = setting.spec
    wanted = spec.target.strength * setting.distance(setting.target.points)
    allowed = (1 - RESERVE) * spec.target.error * spec.target.strength * setting.reach
    q = field.component(setting.target, setting.b0, "target field")
    return Limit(q, wanted - allowed, wanted + allowed, scale=allowed, label="target.error")


def _slope_limit(setting: Setting) -> Limit:
    """The best-fitting gradient over the region is the one asked for, so the error is a deviation, not a gain.

    Held to a hundredth of a percent: a band that an interior-point method can move in.
    """
    spec, region = setting.spec, _folded(_volume(setting.spec), setting.symmetry)
    distance = setting.distance(region.points)
    weights = region.weights * distance / (region.weights @ distance**2)
    q = field.mean_component(region, setting.b0, weights, "gradient")
    band = SLOPE_BAND * spec.target.strength
    return Limit(q, spec.target.strength - band, spec.target.strength + band, scale=band, label="target.strength")


def _density_limits(setting: Setting, densest: float | None) -> list[Limit]:
    spec = setting.spec
    caps = {"limits.peak_current_density": spec.limits.peak_current_density, "conductor.spacing": densest}
    label, cap = min(((k, v) for k, v in caps.items() if v is not None), key=lambda kv: kv[1], default=(None, None))
    return [] if cap is None else [_cone(_density(l), cap, label) for l in setting.layers]


def _cone(quantity, cap: float, label: str) -> Limit:
    return Limit(quantity, upper=cap, norm="row", scale=cap, label=label)


# --- the solve ----------------------------------------------------------------------------------

SPACING_TRIES = 5
JOINT = 1.01  # tracks are laid this much wider apart than asked: jogs come a little closer


def solve(setting: Setting, progress=None) -> Solution:
    """Solve; where the tracks come out closer than the conductor needs, lower the density allowed and solve again.

    With winding.current the first limit on the density is known; with winding.turns it follows from the first
    answer.  Contours of the smoothed stream function crowd more than single faces say, so the tracks themselves
    are measured.
    """
    spec = setting.spec
    pitch = spec.conductor.width + spec.conductor.spacing
    cap = spec.winding.current and spec.winding.current / pitch
    matrices: dict = {}
    for _ in range(SPACING_TRIES):
        solution = convex.solve(problem(setting, cap), matrices=matrices, progress=progress)
        if not solution.status.ok:
            return solution
        closest = _closest_tracks(setting, solution)
        if closest >= JOINT * pitch:
            return solution
        if progress:
            progress(f"tracks come within {closest * 1e3:.2f} mm of each other; lowering the current density")
        peak = max(peak_density(solution.design.parts[l.name]) for l in setting.layers)
        cap = min(peak, turn_current(setting, solution) / pitch, cap or np.inf) * min(1.0, closest / (1.01 * JOINT * pitch) if cap else 1.0)
    return solution


def turn_current(setting: Setting, solution: Solution) -> float:
    """Current (A) of one turn: as given, or the largest |psi| of the primary over the turns per lobe."""
    if setting.spec.winding.current:
        return float(setting.spec.winding.current)
    layer = setting.layers[0]
    stream = np.asarray(solution.design.parts[layer.name].stream)
    largest = max(np.abs(patch.of(stream) - patch.rim_value(stream)).max() for patch in layer.patches)
    return float(largest / setting.spec.winding.turns)


def _closest_tracks(setting: Setting, solution: Solution) -> float:
    """Smallest distance (m) between neighbouring tracks on any layer."""
    current, width = turn_current(setting, solution), setting.spec.conductor.width
    loose = _loose(setting, solution, current)
    return min((wire_spacing(w.tracks, width).distance for w in loose if w.tracks), default=np.inf)


def peak_density(part: Sheet) -> float:
    """Largest |K| (A/m) on a sheet."""
    return float(np.linalg.norm(np.asarray(part.surface_current()), axis=1).max())


# --- winding ------------------------------------------------------------------------------------


def wind(setting: Setting, solution: Solution) -> Product:
    """N turns per lobe in series: contours one current apart, joined into one winding per layer."""
    current = turn_current(setting, solution)
    loose = _loose(setting, solution, current)
    stages = {"continuous": _sheets(setting, solution), "discrete": Assembly([w.filaments() for w in loose])}
    windings = loose
    if setting.spec.winding.joined:
        windings = _joined(setting, loose)
        stages["joined"] = Assembly([w.filaments() for w in windings])
    formers = {patch.name: patch.former for layer in setting.layers for patch in layer.patches if patch.former is not None}
    source = list(stages.values())[-1]
    return Product(source, stages, windings, formers, dict(solution.design.parts))


def _sheets(setting: Setting, solution: Solution) -> Assembly:
    return Assembly([solution.design.parts[layer.name] for layer in setting.layers])


def _loose(setting: Setting, solution: Solution, current: float) -> tuple[Winding, ...]:
    """Closed tracks of every patch, one current apart; those too short to be wound are left out."""
    conductor, found = setting.spec.conductor, []
    for layer in setting.layers:
        stream = np.asarray(solution.design.parts[layer.name].stream)
        for patch in layer.patches:
            tracks = patch.tracks(stream, current, _shortest(setting.spec))
            found.append(Winding(patch.name, tracks, current, conductor.width, conductor.thickness))
    return tuple(w for w in found if w.tracks)


def _shortest(spec) -> float:
    """Level lines shorter than this (m) cannot be wound: a circle of twice the pitch across."""
    return 2 * np.pi * (spec.conductor.width + spec.conductor.spacing)


def _joined(setting: Setting, loose) -> tuple[Winding, ...]:
    """Each patch joined; layers of one patch each in series, several patches with terminals of their own."""
    rule, conductor = setting.spec.winding, setting.spec.conductor
    of = {patch.name: (layer, patch) for layer in setting.layers for patch in layer.patches}
    each = tuple(
        join.join(
            of[w.name][1].former, w.tracks, w.current, conductor.width, conductor.thickness,
            name=w.name, azimuth=0.0, lead_length=rule.lead_length, return_clearance=rule.return_clearance,
            inward=of[w.name][0].name == "shield", jog=JOG,
        )
        for w in loose
    )  # fmt: skip
    single = all(len(layer.patches) == 1 for layer in setting.layers)
    return join.series(each) if single and len(each) > 1 else each


# --- infeasible specs ---------------------------------------------------------------------------


def relax(setting: Setting, solution: Solution) -> str:
    """Which keys of the spec to relax, and how far, so that a coil exists: the smallest violation found."""
    advice = [_relaxed(setting.spec, r) for r in solution.relaxations]
    head = "no coil meets all limits together; the smallest change that makes one possible"
    return f"{head}: {'; '.join(advice)}" if advice else "no coil meets all limits together; relax target.error or stray.limit"


def _relaxed(spec, relaxation) -> str:
    key, factor = relaxation.limit, 1 + relaxation.relative
    if key == "conductor.spacing":
        return _finer_tracks(spec, factor)
    value = functools.reduce(getattr, key.split("."), spec)
    if key == "target.strength":
        return f"lower {key} below {units.format(value, 'T/m')} by {units.format(relaxation.by, 'T/m')}"
    unit = "1" if key == "target.error" else relaxation.unit
    return f"raise {key} from {units.format(value, unit)} to {units.format(value * factor, unit)}"


def _finer_tracks(spec, factor: float) -> str:
    pitch = spec.conductor.width + spec.conductor.spacing
    words = f"lower conductor.width + conductor.spacing from {units.format(pitch, 'm')} to {units.format(pitch / factor, 'm')}"
    if spec.winding.turns is None:
        return f"{words}, or raise winding.current to {units.format(spec.winding.current * factor, 'A')}"
    return f"{words}, or lower winding.turns from {spec.winding.turns} to {int(spec.winding.turns / factor)}"


def start(setting: Setting) -> Design:
    """The design before it is solved: the sheets without current."""
    return problem(setting).start


def evidence(setting: Setting, solution: Solution, product: Product, progress):
    """Figures, audit, plots and maps; see `gradient_evidence`."""
    from designtools.recipes.gradient_evidence import evidence as assess

    return assess(setting, solution, product, progress)


RECIPE = Recipe(prepare, start, solve, wind, evidence, relax)
