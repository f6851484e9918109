"""The physics of gradient coils against closed forms: fields, shields, energies, powers, forces, scaling, refinement.

Numbers and their sources are in reference/gradient_facts.json.
"""

import functools
import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import trimesh
from scipy import sparse
from scipy.integrate import quad
from scipy.special import ellipe, ellipk, iv, ivp, kvp
from test_symmetry import identity, spec

from designtools.fields import field_gradient, force, torque
from designtools.formers.cylinder import Cylinder
from designtools.formers.symmetry import orbits, vertex_basis
from designtools.recipes.gradient_problem import sheet_resistance
from designtools.kernels.wire_inductance import rectangle_mean_distance
from designtools.problem import Design, Free, Problem, Term
from designtools.quantities import energy, field
from designtools.quantities.force import sheet_force, sheet_torque
from designtools.quantities.sheet import power_residual
from designtools.recipes import gradient, gradient_evidence, gradient_setting
from designtools.recipes.product import Product
from designtools.regions import Region
from designtools.solve import convex
from designtools.sources import Assembly, Filaments, Sheet, Uniform
from designtools.units import MU_0
from designtools.windings.winding import Track, Winding

FACTS = json.loads((Path(__file__).parent / "reference" / "gradient_facts.json").read_text(encoding="utf-8"))


def rate(errors):
    """Order of convergence of each halving of the mesh size."""
    errors = np.abs(errors)
    return np.log2(errors[:-1] / errors[1:])


def window(z, flat, end):
    """1 up to `flat`, 0 from `end` on, and all derivatives continuous: its spectrum is narrow."""
    t = np.clip((np.abs(z) - flat) / (end - flat), 1e-9, 1 - 1e-9)
    return 1 / (1 + np.exp(np.clip(1 / (1 - t) - 1 / t, -700, 700)))


def wave(radius, k, order, around, length, flat):
    """Sheet of j_phi = cos(order phi) cos(kz), 1 A/m, on a long cylinder with `around` triangles round."""
    mesh = Cylinder(radius, length).mesh(2 * np.pi * radius / around)
    assert len(mesh.boundaries[0]) == around
    u, z = mesh.uv.T
    psi = np.cos(order * u) * np.sin(k * z) / k * window(z, flat, length / 2)  # j_phi = d psi / dz
    return Sheet(mesh.vertices, mesh.faces, psi)


# --- target field: a current wave on a cylinder ----------------------------------------------------


def test_a_current_wave_makes_the_field_of_the_closed_form():
    a, k = 0.2, 2 * np.pi / 0.6
    points = np.random.default_rng(0).uniform(-0.09, 0.09, (20, 3))
    rho, phi, z = np.hypot(*points[:, :2].T), np.arctan2(points[:, 1], points[:, 0]), points[:, 2]
    exact = -MU_0 * k * a * iv(1, k * rho) * kvp(1, k * a) * np.cos(phi) * np.cos(k * z)
    errors, shapes = [], []
    for around in (12, 24, 48):
        found = np.asarray(wave(a, k, 1, around, 4.8, 0.6).field(points))[:, 2]
        errors.append(np.abs(found - exact).max() / np.abs(exact).max())
        shapes.append(np.abs(found - exact * (found @ exact) / (exact @ exact)).max() / np.abs(exact).max())
    np.testing.assert_allclose(rate(errors), 2, atol=0.1)
    assert errors[-1] < 4e-3 and shapes[-1] < 2e-6  # what is left is the size of the polygon, not the pattern


# --- perfect shield --------------------------------------------------------------------------------

SHIELD = FACTS["perfect_shield_ratio"]
PRIMARY_RADIUS, SHIELD_RADIUS, K = SHIELD["primary_radius"], SHIELD["shield_radius"], SHIELD["k"]


def outside(count=20):
    rng = np.random.default_rng(0)
    phi = rng.uniform(0, 2 * np.pi, count)
    return np.stack([0.6 * np.cos(phi), 0.6 * np.sin(phi), rng.uniform(-0.3, 0.3, count)], axis=1)


def waves(order, around):
    return [wave(r, K, order, around, 8.0, 1.0) for r in (PRIMARY_RADIUS, SHIELD_RADIUS)]


@pytest.mark.parametrize("order", [1, 0])
def test_the_perfect_shield_leaves_nothing_outside(order):
    ratio = SHIELD["ratio"][str(order)]
    closed = -PRIMARY_RADIUS * ivp(order, K * PRIMARY_RADIUS) / (SHIELD_RADIUS * ivp(order, K * SHIELD_RADIUS))
    assert ratio == pytest.approx(closed, rel=1e-12)
    left = []
    for around in (16, 32, 64):
        primary, shield = (np.asarray(w.field(outside())) for w in waves(order, around))
        left.append(np.linalg.norm(primary + ratio * shield) / np.linalg.norm(primary))
    np.testing.assert_allclose(rate(left), 2, atol=0.3)
    assert left[-1] < 2e-3


@pytest.mark.parametrize("order", [1, 0])
def test_the_optimiser_finds_the_perfect_shield(order):
    """The amplitude of the shield is free, the stray field is minimised."""
    ratio, errors = SHIELD["ratio"][str(order)], []
    points = outside()
    stray = field.flux_density(Region(points, np.full(len(points), 1 / len(points))))
    for around in (16, 32, 64):
        primary, shield = waves(order, around)
        design = Design({"primary": primary, "shield": Sheet(shield.vertices, shield.faces, 0 * shield.stream)})
        free = Free(lambda d: d.parts["shield"].stream, -10, 10, basis=np.asarray(shield.stream)[:, None])
        solution = convex.solve(Problem(design, [free], [Term(stray, scale=1e-7)]))
        assert solution.status.ok
        errors.append(solution.x[0] / ratio - 1)
    np.testing.assert_allclose(rate(errors), 2, atol=0.3)
    assert abs(errors[-1]) < 2e-3


# --- spheres ---------------------------------------------------------------------------------------

RADIUS, RESISTANCE = 0.3, 5e-6
HARMONICS = {"P1": lambda x, y, z: z, "P2": lambda x, y, z: (3 * z**2 - 1) / 2, "xz": lambda x, y, z: x * z}


@functools.cache
def ball(level):
    mesh = trimesh.creation.icosphere(subdivisions=level, radius=RADIUS)
    return np.array(mesh.vertices), np.array(mesh.faces)


def per_ampere(name, level):
    """Field, energy (2W) and power at psi0 = 1 A, each over its unit in the facts."""
    vertices, faces = ball(level)
    psi = HARMONICS[name](*(vertices.T / RADIUS))
    source, every = Sheet(vertices, faces, psi), np.arange(len(faces))
    model = energy.SheetModel("s", vertices, faces, every, np.ones(len(faces)), sparse.csc_array(psi[:, None]))
    residual = np.asarray(power_residual("s", every, np.ones(len(faces)), vertices, faces, RESISTANCE).of(Design({"s": source})))
    if name == "P1":
        b = source.field(np.zeros((1, 3)))[0, 2] / (MU_0 / RADIUS)
    else:
        b = field_gradient(source, np.zeros((1, 3)))[0, 2, 0 if name == "xz" else 2] / (MU_0 / RADIUS**2)
    return float(b), energy.inductance_matrix([model])[0, 0] / (MU_0 * RADIUS), (residual**2).sum() / RESISTANCE


@pytest.mark.parametrize("name", HARMONICS)
def test_spheres_have_their_field_energy_and_power(name):
    facts = FACTS["spheres"][name]
    exact = np.array([facts["field"], facts["energy"], facts["power"]])
    errors = np.array([per_ampere(name, level) for level in (1, 2, 3)]) / exact - 1
    if name == "P1":  # psi is a plane on every face: at the centre of a regular body the field is exact
        assert np.abs(errors[:, 0]).max() < 1e-12
    np.testing.assert_allclose(rate(errors[:, int(name == "P1") :]), 2, atol=0.25)
    np.testing.assert_array_less(np.abs(errors[-1]), [0.01, 0.02, 0.02])


def test_facts_of_the_spheres_agree_with_each_other():
    """Energy of degree l: W = mu0 psi0^2 / 2a l(l+1)/(2l+1) times the integral of Y^2; power: l(l+1) times it."""
    integrals = {"P1": (1, 4 * np.pi / 3), "P2": (2, 4 * np.pi / 5), "xz": (2, 4 * np.pi / 15)}
    for name, (l, square) in integrals.items():
        facts = FACTS["spheres"][name]
        assert facts["power"] == pytest.approx(l * (l + 1) * square, rel=1e-14)
        assert facts["energy"] == pytest.approx(l * (l + 1) / (2 * l + 1) * square, rel=1e-14)
    for name in ("P2", "xz"):
        facts = FACTS["spheres"][name]
        assert FACTS["spheres"][f"{name}_power_per_gradient_squared"] == pytest.approx(facts["power"] / facts["field"] ** 2, rel=1e-14)


def test_the_natural_scales_of_the_recipe_are_those_of_the_sphere():
    task = spec()
    scales, facts = gradient.natural_scales(task, task.primary.radius), FACTS["spheres"]
    a, g = task.primary.radius, task.target.strength
    psi0 = g * a**2 / (facts["xz"]["field"] * MU_0)
    assert gradient.natural_stream(task, task.primary.radius) == pytest.approx(psi0, rel=1e-13)
    assert scales["power"] == pytest.approx(facts["xz"]["power"] * sheet_resistance(task) * psi0**2, rel=1e-13)
    assert scales["stored_energy"] == pytest.approx(facts["xz"]["energy"] * MU_0 * a * psi0**2 / 2, rel=1e-13)


def test_energy_over_symmetry_orbits_is_energy_over_all_faces():
    setting = gradient.prepare(spec())
    layer = setting.layers[0]
    mesh, x = layer.mesh, np.random.default_rng(0).normal(size=layer.basis.shape[1])
    every = np.arange(len(mesh.faces))
    whole = energy.SheetModel("primary", mesh.vertices, mesh.faces, every, np.ones(len(every)), layer.basis)
    folded, full = (energy.inductance_matrix([m]) for m in (gradient.sheet_model(layer), whole))
    np.testing.assert_allclose(folded, full, atol=1e-4 * np.abs(full).max())
    assert x @ folded @ x == pytest.approx(x @ full @ x, rel=1e-6) and np.linalg.eigvalsh(folded).min() > 0
    assert len(layer.faces) < len(every) / 6 and len(vertex_basis(mesh, identity()).shape) == 2
    assert orbits(mesh.corner.mean(axis=1), identity())[1].max() == 1


# --- classic coils of wire -------------------------------------------------------------------------


def arc(radius, z, middle, span, current, count):
    phi = middle + np.linspace(-span / 2, span / 2, count + 1)
    points = np.stack([radius * np.cos(phi), radius * np.sin(phi), np.full(count + 1, z)], axis=1)
    return Filaments.from_path(points, current=current)


def test_maxwell_pair():
    facts, errors = FACTS["maxwell_pair"], []
    a, current = facts["radius"], facts["current"]
    closed = 48 * np.sqrt(3) / 7**2.5 * MU_0 * current / a**2
    assert facts["gradient"] == pytest.approx(closed, rel=1e-12)
    for count in (100, 200):
        pair = Assembly([arc(a, s * np.sqrt(3) / 2 * a, 0, 2 * np.pi, s * current, count) for s in (1, -1)])
        errors.append(float(field_gradient(pair, np.zeros((1, 3)))[0, 2, 2]) / closed - 1)
    assert rate(np.array(errors))[0] == pytest.approx(2, abs=0.01) and abs(errors[-1]) < 1e-3
    half = np.array([[0, 0, a / 2]])
    deviation = float(pair.field(half)[0, 2]) / (closed * a / 2) - 1
    assert deviation == pytest.approx(facts["relative_field_deviation_at_half_radius"], abs=5e-4)
    cross = field_gradient(pair, np.zeros((1, 3)))[0]
    np.testing.assert_allclose(cross, np.diag([-0.5, -0.5, 1]) * cross[2, 2], atol=1e-12)


def golay_by_quadrature(heights):
    """dBz/dx at the centre over mu0 I / a^2 of arcs of 120 degrees, from Biot-Savart under the integral."""
    def slope(phi, z):  # Bz = mu0 I / 4 pi * integral of a (a - x cos phi - y sin phi) / r^3 dphi
        r2 = 1 + z**2
        return (-np.cos(phi) / r2**1.5 + 3 * np.cos(phi) / r2**2.5) / (4 * np.pi)

    inner, outer = (quad(slope, -np.pi / 3, np.pi / 3, (z,))[0] for z in heights)
    return 4 * (inner - outer)  # two ends, two sides


def test_golay_coil():
    a, heights = 0.25, (0.3893, 2.5665)
    arcs = [
        arc(a, end * z * a, side, 2 * np.pi / 3, sign * way, 300)
        for end in (1, -1)
        for side, sign in ((0.0, 1), (np.pi, -1))
        for z, way in zip(heights, (1, -1))
    ]
    slope = np.asarray(field_gradient(Assembly(arcs), np.zeros((1, 3))))[0, 2] / (MU_0 / a**2)
    assert golay_by_quadrature(heights) == pytest.approx(FACTS["golay"]["gradient"], abs=1e-4)
    np.testing.assert_allclose(slope, [golay_by_quadrature(heights), 0, 0], atol=1e-4)


# --- discrete loops through the evidence -----------------------------------------------------------


def ring(radius, z, count):
    phi = np.linspace(0, 2 * np.pi, count + 1)
    points = np.stack([radius * np.cos(phi), radius * np.sin(phi), np.full(count + 1, z)], axis=1)
    normals = points * [1, 1, 0] / radius
    points[-1] = points[0]
    return Track(points, normals, ("turn",) * count)


def coaxial(a, b, distance):
    m = 4 * a * b / ((a + b) ** 2 + distance**2)
    k = np.sqrt(m)
    return MU_0 * np.sqrt(a * b) * ((2 / k - k) * ellipk(m) - 2 / k * ellipe(m))


def test_inductance_of_loops_in_layers():
    """Two rings in series inside a third.  Mutual: errors of the polygon; self: of first order in conductor over radius."""
    conductor = SimpleNamespace(width=2e-3, thickness=4e-3)
    own = lambda r: MU_0 * r * (np.log(8 * r / rectangle_mean_distance(2e-3, 4e-3)) - 2)
    inner = 2 * own(0.2) + 2 * coaxial(0.2, 0.2, 0.1)
    exact = np.array([[inner, 0], [0, own(0.3)]]) + np.array([[0, 1], [1, 0]]) * 2 * coaxial(0.2, 0.3, 0.05)
    errors = []
    for count in (60, 120, 240):
        windings = (
            Winding("inner", (ring(0.2, -0.05, count), ring(0.2, 0.05, count)), 7.0, 2e-3, 4e-3),
            Winding("outer", (ring(0.3, 0.0, count),), 7.0, 2e-3, 4e-3),
        )
        product = Product(None, windings=windings)
        errors.append(gradient_evidence.series_inductance(product, SimpleNamespace(conductor=conductor)) / exact - 1)
    errors = np.abs(errors)
    assert errors[-1].max() < 4e-4
    np.testing.assert_allclose(rate(errors[:, 0, 1]), 2, atol=0.05)


def test_amplifier_figures():
    facts = FACTS["voltage_limited_ramp"]
    amplifier = SimpleNamespace(voltage=facts["voltage"], current=1000.0)
    driven = functools.partial(gradient_evidence._driven, SimpleNamespace(amplifier=amplifier), facts["efficiency"])
    found = driven(facts["current"], facts["inductance"], facts["resistance"])
    assert found["rise_time"].value == pytest.approx(facts["rise_time"], rel=1e-12)
    assert found["slew_rate"].value == pytest.approx(facts["slew_rate"], rel=1e-12)
    assert found["gradient_strength_limit"].value == pytest.approx(0.1)
    assert set(driven(facts["current"], facts["inductance"], 3.0)) == {"gradient_strength_limit"}  # R I beyond V
    assert gradient_evidence._driven(SimpleNamespace(amplifier=None), 1, 1, 1, 1) == {}


# --- force and torque ------------------------------------------------------------------------------


def test_square_loop_in_a_uniform_field():
    facts = FACTS["square_loop"]
    s = facts["side"] / 2
    loop = Filaments.from_path(np.array([[s, s, 0], [-s, s, 0], [-s, -s, 0], [s, -s, 0.0]]), current=facts["current"], closed=True)
    across = Uniform(flux_density=np.array([facts["flux_density"], 0, 0]))
    np.testing.assert_allclose(force(loop, across), 0, atol=1e-12)
    np.testing.assert_allclose(torque(loop, across), [0, facts["largest_torque"], 0], atol=1e-11)
    np.testing.assert_allclose(torque(loop, Uniform(flux_density=np.array([0, 0, 3.0]))), 0, atol=1e-12)


def test_sheets_feel_no_force_but_their_moment():
    setting = gradient.prepare(spec())
    layer = setting.layers[0]
    psi = vertex_basis(layer.mesh, identity()) @ np.random.default_rng(0).normal(size=vertex_basis(layer.mesh, identity()).shape[1])
    source = Sheet(layer.mesh.vertices, layer.mesh.faces, 100 * psi)
    b = np.array([0.5, -1, 2.5])
    moment = np.asarray(source.moment())
    push, twist = (np.asarray(q(["p"], Uniform(flux_density=b)).of(Design({"p": source})))[0] for q in (sheet_force, sheet_torque))
    assert np.linalg.norm(moment) > 0.1
    np.testing.assert_allclose(push, 0, atol=1e-11 * np.linalg.norm(moment) / 0.15)
    np.testing.assert_allclose(twist, np.cross(moment, b), atol=1e-11 * np.linalg.norm(moment))
    np.testing.assert_allclose(force(source, Uniform(flux_density=b)), push, atol=1e-9)
    np.testing.assert_allclose(torque(source, Uniform(flux_density=b)), twist, atol=1e-9)


def test_sheet_force_in_the_field_of_a_magnet_is_that_of_the_current_elements():
    """In an uneven field: edge midpoints against the seven-point rule of `fields.force`."""
    block = {"inner_radius": 0.5, "outer_radius": 0.6, "z_low": 0.1, "z_high": 0.5, "current_density": 1e7}
    task = spec(magnet={"flux_density": 1.0, "blocks": [block]}, mesh={"resolution": 0.03})
    setting = gradient.prepare(task)
    layer, magnet = setting.layers[0], gradient.background(task)
    z = layer.mesh.uv[:, 1]
    source = Sheet(layer.mesh.vertices, layer.mesh.faces, 100 * np.cos(np.pi * z / 0.45) * (1 + np.sin(layer.mesh.uv[:, 0])))
    design = Design({"p": source})
    for quantity, direct in ((sheet_force, force), (sheet_torque, torque)):
        theirs = np.asarray(direct(source, magnet))
        np.testing.assert_allclose(np.asarray(quantity(["p"], magnet).of(design))[0], theirs, atol=1e-3 * np.abs(theirs).max())


@pytest.fixture(scope="module")
def joined():
    """A shielded coil, solved and joined in series."""
    task = spec(
        mesh={"resolution": 0.05},
        shield={"radius": 0.2, "length": 0.6},
        stray={"radius": 0.25, "length": 0.25, "limit": 2e-4},
        target={"gradient_axis": "x", "strength": 0.02, "error": 0.1},
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gradient_setting, "TARGET_ORDER", 12)
        setting = gradient.prepare(task)
        solution = gradient.solve(setting)
        return setting, solution, gradient.wind(setting, solution)


def test_a_joined_winding_is_one_circuit_without_net_force(joined):
    _, _, product = joined
    windings, b = product.windings, np.array([0.5, -1.0, 2.5])
    for first, second in zip(windings[:-1], windings[1:]):
        np.testing.assert_allclose(first.tracks[-1].points[-1], second.tracks[0].points[0], atol=1e-12)
    assert all(len(w.tracks) == 1 and w.current == windings[0].current for w in windings)
    path = np.concatenate([windings[0].tracks[0].points] + [w.tracks[0].points[1:] for w in windings[1:]])
    current, gap = windings[0].current, path[-1] - path[0]
    uniform = Uniform(flux_density=b)
    push = np.asarray(force(product.source, uniform))
    np.testing.assert_allclose(push, current * np.cross(gap, b), atol=1e-9)  # only the gap between the terminals
    assert np.linalg.norm(gap) < 0.02
    whole = Filaments.from_path(path, current=current, closed=True)
    moment = current * np.cross(path, np.roll(path, -1, axis=0)).sum(axis=0) / 2
    assert np.linalg.norm(force(whole, uniform)) < 1e-9
    np.testing.assert_allclose(torque(whole, uniform), np.cross(moment, b), atol=1e-9)


def test_the_winding_makes_the_field_of_its_sheet(joined):
    setting, _, product = joined
    slopes = {name: slope_of(source) for name, source in product.stages.items()}
    assert slopes["discrete"] == pytest.approx(slopes["continuous"], rel=0.08)  # four turns, coarse mesh
    assert slopes["joined"] == pytest.approx(slopes["discrete"], rel=0.1)
    turns = setting.spec.winding.turns
    primary = np.asarray(product.sheets["primary"].stream)
    assert product.windings[0].current == pytest.approx(np.abs(primary).max() / turns, rel=1e-6)


def slope_of(source):
    return float(field_gradient(source, np.zeros((1, 3)))[0, 2, 0])


def wound_slopes(resolution, counts):
    """dBz/dx of loose windings of some numbers of turns per lobe, over that of the sheet."""
    task = spec(mesh={"resolution": resolution}, target={"gradient_axis": "x", "strength": 0.02, "error": 0.1})
    setting = gradient.prepare(task)
    solution, slopes = convex.solve(gradient.problem(setting)), []
    for turns in counts:
        rule = task.winding.model_copy(update={"turns": turns, "joined": False})
        thin = task.conductor.model_copy(update={"width": 1e-5})  # no turn is left out for being short
        finer = replace(setting, spec=task.model_copy(update={"winding": rule, "conductor": thin}))
        stages = gradient.wind(finer, solution).stages
        slopes.append(slope_of(stages["discrete"]) / slope_of(stages["continuous"]))
    return np.array(slopes)


def test_the_field_of_a_winding_converges_with_its_turns():
    """To second order, as half levels are the midpoint rule; what remains is the smoothing of a coarse psi."""
    steps = np.diff(wound_slopes(0.03, (4, 8, 16, 32)))
    np.testing.assert_allclose(rate(steps), 2, atol=0.15)
    remains = [wound_slopes(r, (16,))[0] - 1 for r in (0.06, 0.03)]
    assert abs(remains[1]) < 0.4 * abs(remains[0]) and abs(remains[1]) < 0.015


# --- the optimum as a whole ------------------------------------------------------------------------


def optimum(scale=1.0, around=24, thickness=0.002, axis="x", sizes=None, **changes):
    """Optimal power (W) and energy (J) of the recipe with all lengths times `scale`."""
    radius, length = sizes or (0.15, 2 * np.pi * 0.15 * np.sqrt(3) / 4)  # twice as many triangles round as along
    task = spec(
        axis,
        region={"shape": "ball", "radius": 0.05 * scale},
        primary={"radius": radius * scale, "length": length * scale},
        mesh={"resolution": 2 * np.pi * radius * scale / around},
        target={"gradient_axis": axis, "strength": 0.02, "error": 0.04},
        conductor={"width": 1e-3, "thickness": thickness, "spacing": 0.0},
        **changes,
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gradient_setting, "TARGET_ORDER", 12)
        setting = gradient.prepare(task)
        solution = convex.solve(gradient.problem(setting))
    assert solution.status.ok
    residual, _ = energy.stored_energy_residual([gradient.sheet_model(l) for l in setting.layers])
    stored = float((np.asarray(residual.of(solution.design)) ** 2).sum())
    return solution.terms.get("power of primary"), stored, solution


def test_the_recipe_scales_as_physics_does():
    facts = FACTS["scaling"]
    weights = {"power": 1.0, "stored_energy": 1.0}
    power, stored, small = optimum(objective=weights)
    large_power, large_stored, large = optimum(facts["ratio_of_radii"], objective=weights)
    assert large_power / power == pytest.approx(facts["power_same_thickness"], rel=1e-9)
    assert large_stored / stored == pytest.approx(facts["energy"], rel=1e-9)
    assert large.objective == pytest.approx(small.objective, rel=1e-9)  # in natural units nothing changed
    thick_power, _, _ = optimum(facts["ratio_of_radii"], thickness=0.004, objective=weights)
    assert thick_power / power == pytest.approx(facts["power_scaled_thickness"], rel=1e-9)
    np.testing.assert_allclose(large.x, 4 * small.x, rtol=1e-7, atol=1e-9 * np.abs(large.x).max())


def test_an_odd_scale_too():
    power, stored, _ = optimum()
    other_power, other_stored, _ = optimum(1.37)
    assert other_power / power == pytest.approx(1.37**4, rel=1e-6)
    assert other_stored / stored == pytest.approx(1.37**5, rel=1e-5)


def test_the_optimum_is_linear_in_the_gradient_asked_for():
    power, stored, base = optimum()
    doubled = convex.solve(_at_strength(0.04))
    np.testing.assert_allclose(doubled.x, 2 * base.x, rtol=1e-6, atol=1e-8 * np.abs(base.x).max())
    assert doubled.terms["power of primary"] == pytest.approx(4 * power, rel=1e-8)


def _at_strength(strength):
    radius = 0.15
    task = spec(
        primary={"radius": radius, "length": 2 * np.pi * radius * np.sqrt(3) / 4},
        mesh={"resolution": 2 * np.pi * radius / 24},
        target={"gradient_axis": "x", "strength": strength, "error": 0.04},
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gradient_setting, "TARGET_ORDER", 12)
        return gradient.problem(gradient.prepare(task))


@pytest.mark.parametrize("axis", ["x", "z"])
def test_the_optimal_power_converges_with_the_mesh(axis):
    """Power at mesh sizes h, h/2, h/4: measured orders 2.3 (x) and 2.4 (z)."""
    values = np.array([optimum(around=n, axis=axis)[0] for n in (16, 32, 64)])
    steps = np.diff(values)
    assert np.sign(steps[0]) == np.sign(steps[1])  # monotone
    assert 1.7 < np.log2(steps[0] / steps[1]) < 2.8
    assert abs(steps[1]) < 0.015 * values[-1]


@pytest.mark.parametrize("axis", ["x", "z"])
def test_the_optimal_energy_converges_with_the_mesh(axis):
    """No order is promised: errors of opposite sign (smaller polygon, crowding at the rims) partly cancel."""
    weights = {"power": 0.0, "stored_energy": 1.0}
    values = np.array([optimum(around=n, axis=axis, objective=weights)[1] for n in (16, 32, 64)])
    steps = np.diff(values)
    assert abs(steps[1]) < 0.6 * abs(steps[0]) and abs(steps[1]) < 0.01 * values[-1]


def test_more_room_never_costs_more():
    """Relaxing a limit or lengthening the former cannot raise the optimum."""
    sizes = lambda length: (0.15, length)
    strict, _, _ = optimum(sizes=sizes(0.408))
    longer, _, _ = optimum(sizes=sizes(0.5))
    assert longer < strict
    power, stored, _ = optimum(objective={"power": 1.0, "stored_energy": 0.0})
    mixed_power, mixed_stored, _ = optimum(objective={"power": 1.0, "stored_energy": 5.0})
    assert mixed_power > power and mixed_stored < stored  # what is weighed falls, what is not rises
