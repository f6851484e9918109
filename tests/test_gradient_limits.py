"""What judges a gradient coil besides its field: stimulation, drive, concomitant field, sound, resistance at frequency, heat."""

import functools

import mpmath
import numpy as np
import pytest
import trimesh
from scipy import sparse
from scipy.integrate import quad, solve_ivp
from scipy.special import jv
from test_gradient_physics import rate, wave

from designtools.formers.cylinder import Cylinder
from designtools.formers.symmetry import Symmetry, vertex_basis
from designtools.problem import Design, Free, Limit, Problem, Term
from designtools.quantities import acoustics, concomitant, cooling, driving, electric_field, field, skin_effect, stimulation
from designtools.quantities.energy import SheetModel
from designtools.quantities.sheet import power_residual
from designtools.regions import shell
from designtools.solve import convex
from designtools.sources import Filaments, Loops, Sheet, Uniform
from designtools.units import MU_0

Z = np.array([0.0, 0.0, 1.0])
SIGMA = 5.8e7

# --- stimulation --------------------------------------------------------------------------------------


def test_the_allowed_slew_rate_is_on_the_limit_curve():
    per_slew, rheobase = 0.07, 0.8 * 2.2  # V/m per T/m/s
    line = stimulation.coil_threshold(per_slew)
    swing = line.step * np.array([1.01, 1.5, 4.0, 30.0])
    slew = line.allowed_slew(swing)
    np.testing.assert_allclose(per_slew * slew, stimulation.nerve_limit(swing / slew, "E", "normal"), rtol=1e-10)
    np.testing.assert_allclose(slew, line.slew_rate(swing / slew), rtol=1e-10)
    assert np.all(np.isinf(line.allowed_slew(line.step * np.array([0.0, 0.5, 1.0]))))
    assert line.allowed_slew(1e6) == pytest.approx(rheobase / per_slew, rel=1e-6) and line.chronaxie == pytest.approx(0.36e-3)


def test_effective_durations_of_a_waveform():
    """A plateau ends a change; a change in two slopes counts its whole swing over the steeper one."""
    duration, slope = stimulation.effective_durations([0, 1, 2, 4, 5], [0, 1, 1, 4, 6.0])
    np.testing.assert_allclose(duration, [1.0, 2.5])
    np.testing.assert_allclose(slope, [1.0, 2.0])
    t = np.linspace(0, 1e-3, 2001)
    duration, _ = stimulation.effective_durations(t, -np.cos(2 * np.pi * 1000 * t))
    np.testing.assert_allclose(duration, stimulation.sine_duration(1000.0), rtol=1e-5)
    with pytest.raises(ValueError, match="times must ascend"):
        stimulation.effective_durations([0, 0], [0, 1])


def test_safe_is_the_limit_of_small_steps_and_adds_axes():
    axis = stimulation.SafeAxis((0.2e-3, 0.03e-3, 3e-3), (0.4, 0.1, 0.5), 30.0, 0.35)
    exact, errors = stimulation.safe_ramp(150.0, 0.2e-3, axis), []
    for count in (40, 80, 160):
        errors.append(stimulation.safe_stimulation(np.full(count, -150.0), 0.2e-3 / count, axis)[-1] - exact)
    np.testing.assert_allclose(rate(np.array(errors)), 1, atol=0.05)
    np.testing.assert_allclose(stimulation.combined([[3.0, 0], [4.0, 1]]), [5.0, 1.0])
    bipolar = np.tile([150.0, -150.0], 400)  # the branch that rectifies first does not forget
    assert stimulation.safe_stimulation(bipolar, 1e-5, axis)[-1] > 0.9 * 100 * 0.35 / 30 * 150 * 0.1
    with pytest.raises(ValueError, match="weights must sum to 1"):
        stimulation.SafeAxis((1e-3,) * 3, (0.4, 0.1, 0.1), 30.0)


def test_words_that_are_no_limit_are_refused():
    for wrong in (lambda: stimulation.nerve_limit(1e-3, "B"), lambda: stimulation.nerve_limit(1e-3, mode="second"), lambda: stimulation.cardiac_limit(1.0, "B")):
        with pytest.raises(ValueError, match="must be"):
            wrong()


# --- drive --------------------------------------------------------------------------------------------

COIL = {"inductance": 1e-3, "resistance": 0.15}


def test_rise_times_follow_from_the_circuit():
    t = driving.exponential_rise(**COIL, voltage=2000.0, current=900.0)
    found = solve_ivp(lambda _, i: (2000.0 - 0.15 * i) / 1e-3, (0, t), [0.0], rtol=1e-10, atol=1e-6).y[0, -1]
    assert found == pytest.approx(900.0, rel=1e-8)
    assert driving.simulate(**COIL, voltages=np.full(7, 2000.0), step=t / 7)[-1] == pytest.approx(900.0, rel=1e-12)
    assert driving.simulate(1e-3, 0.0, np.full(7, 2000.0), 1e-4)[-1] == pytest.approx(1400.0, rel=1e-12)
    ramp = driving.linear_rise(**COIL, voltage=2000.0, current=900.0)
    assert driving.ramp_voltage(**COIL, times=[0, ramp], currents=[0, 900.0])[0, 1] == pytest.approx(2000.0, rel=1e-12)
    assert np.isinf(driving.linear_rise(**COIL, voltage=100.0, current=900.0)) and np.isinf(driving.exponential_rise(**COIL, voltage=100.0, current=900.0))
    assert driving.exponential_rise(1e-3, 0.0, 2000.0, 900.0) == pytest.approx(4.5e-4)


def test_slew_falls_with_the_gradient_asked():
    curve = driving.gradient_slew_curve(**COIL, voltage=2000.0, current=900.0, efficiency=1e-4, gradients=[0.0, 0.09, -0.09, 0.091])
    np.testing.assert_allclose(curve, [200.0, 186.5, 186.5, 0.0], rtol=1e-12)
    f = driving.sine_frequency(**COIL, voltage=2000.0, current=900.0)
    assert driving.sine_voltage(**COIL, frequency=f, current=900.0) == pytest.approx(2000.0, rel=1e-12)
    assert driving.sine_frequency(**COIL, voltage=100.0, current=900.0) == 0.0


def test_rms_and_duty_of_trapezoids():
    ramp, flat, period = 0.2e-3, 1.8e-3, 10e-3
    shape = lambda t: np.interp(t, [0, ramp, ramp + flat, 2 * ramp + flat], [0, 1, 1, 0])
    square = quad(lambda t: shape(t) ** 2, 0, 2 * ramp + flat, points=[ramp, ramp + flat])[0] / period
    assert driving.trapezoid_rms(ramp, flat, period) == pytest.approx(np.sqrt(square), rel=1e-10)
    assert driving.duty_cycle(0.15, 900.0, 12150.0) == pytest.approx(0.1) and driving.duty_cycle(0.15, 9.0, 12150.0) == 1.0
    with pytest.raises(ValueError, match="period must hold"):
        driving.trapezoid_rms(1.0, 1.0, 2.9)


# --- concomitant fields ---------------------------------------------------------------------------------


def test_the_concomitant_field_of_any_coil_in_any_magnet():
    """Against 50 digits of |B0 + B| - |B0| - B.b, where the difference of lengths loses ten of sixteen."""
    main = Loops([[0, 0, -0.3], [0, 0, 0.35]], [Z, Z], [0.5, 0.5], [1e6, 1.1e6])
    coil = Loops([[0, 0.02, -0.2], [0, 0, 0.2]], [Z, [0.1, 0, 1.0]], [0.3, 0.3], [-900.0, 800.0])
    points = np.random.default_rng(0).uniform(-0.15, 0.15, (6, 3))
    found = np.asarray(concomitant.concomitant_field(coil, main, points))
    mpmath.mp.dps = 50
    for b0, b, value in zip(np.asarray(main.field(points)), np.asarray(coil.field(points)), found):
        b0, b = (mpmath.matrix([mpmath.mpf(float(c)) for c in v]) for v in (b0, b))
        size = mpmath.norm(b0)
        exact = mpmath.norm(b0 + b) - size - (b.T * b0)[0] / size
        assert value == pytest.approx(float(exact), rel=1e-12)
    everything = np.asarray(concomitant.beyond_encoding(coil, main, points))
    sizes = [np.linalg.norm(np.asarray(v), axis=1) for v in (main.field(points) + coil.field(points), main.field(points))]
    np.testing.assert_allclose(everything, sizes[0] - sizes[1], rtol=1e-9, atol=1e-15)
    np.testing.assert_allclose(concomitant.second_order(coil, main, points), found, rtol=1e-2)
    np.testing.assert_allclose(concomitant.displacement(coil, main, points, 0.01), found / 0.01)


def test_the_ideal_gradient_is_a_magnetic_field():
    for share in (0.0, 0.5, 0.8):
        slope = np.asarray(concomitant.ideal_gradient([0.02, 0.01, 0.03], share).slope)
        assert np.trace(slope) == pytest.approx(0, abs=1e-17) and np.array_equal(slope, slope.T)
        np.testing.assert_array_equal(slope[2], [0.02, 0.01, 0.03])


# --- sound ----------------------------------------------------------------------------------------------


def loud_wall(around, order):
    """A cylinder whose pressure in 3 T is 3e5 Pa cos(order phi) sin(2 pi (z/L + 1/2))."""
    former = Cylinder(0.35, 1.3)
    mesh = former.mesh(2 * np.pi * 0.35 / around)
    u, z = mesh.uv.T
    psi = -1e5 * np.cos(order * u) * 1.3 / (2 * np.pi) * np.cos(2 * np.pi * (z / 1.3 + 0.5))  # K_phi = d psi / dz
    return former, mesh, Design({"coil": Sheet(mesh.vertices, mesh.faces, psi)})


def test_the_force_on_modes_of_a_wall():
    modes, errors = acoustics.wall_modes(3, 3), []
    for around in (12, 24, 48):
        former, mesh, design = loud_wall(around, 2)
        force = acoustics.modal_force({"coil": (mesh.vertices, mesh.faces)}, Uniform(3 * Z), former, modes)
        found = np.asarray(force.of(design))
        hit = modes.index(acoustics.WallMode(2, 2, "cosine"))
        errors.append(found[hit] / (3e5 * np.pi * 0.35 * 1.3 / 2) - 1)
        assert np.abs(np.delete(found, hit)).max() < 1e-9 * found[hit]
    np.testing.assert_allclose(rate(np.array(errors)), 2, atol=0.2)
    assert abs(errors[-1]) < 0.02 and len(modes) == 3 + 3 * 2 * 3


def test_the_vibration_is_that_of_the_modes():
    former, mesh, design = loud_wall(24, 1)
    wall = acoustics.ShellBody(0.35, 0.06, 1.3, 20e9, 2000.0)
    modes, sheets = acoustics.wall_modes(2, 3), {"coil": (mesh.vertices, mesh.faces)}
    force = np.asarray(acoustics.modal_force(sheets, Uniform(3 * Z), former, modes).of(design))
    natural = wall.frequency(1, 2)
    for frequency in (1.0, natural):
        residual = acoustics.vibration_residual(sheets, Uniform(3 * Z), former, wall, modes, frequency, damping=0.01)
        mean_square = (np.asarray(residual.of(design)) ** 2).sum()
        # one mode of mass M and stiffness M w0^2: W^2 has the mean 1/4 over the wall, the sinusoid 1/2 in time
        w, w0 = 2 * np.pi * frequency, 2 * np.pi * natural
        stiffness = wall.mass(1) * (w0**2 - w**2 + 0.02j * w0 * w)
        exact = abs(w * np.abs(force).max() / stiffness) ** 2 / 8
        assert mean_square == pytest.approx(exact, rel=1e-6)
    assert wall.mass(0) == pytest.approx(2000 * 0.06 * 2 * np.pi * 0.35 * 1.3 / 2)
    assert acoustics.level_difference(100.0, 1.0) == pytest.approx(20.0)


def test_a_trapezoid_has_its_spectrum():
    flat, ramp = 1.8e-3, 0.2e-3
    for f in (0.0, 130.0, 750.0, 2600.0):
        shape = lambda t: np.interp(t, [0, ramp, ramp + flat, 2 * ramp + flat], [0, 1, 1, 0])
        part = lambda turn, f=f: quad(lambda t: shape(t) * turn(2 * np.pi * f * t), 0, 2.2e-3, points=[ramp, ramp + flat], limit=200)[0]
        assert acoustics.trapezoid_spectrum(f, flat, ramp) == pytest.approx(np.hypot(part(np.cos), part(np.sin)), rel=1e-7)


# --- resistance at frequency ------------------------------------------------------------------------------


@pytest.mark.parametrize("frequency", [10.0, 1e3, 1e4, 3e5])
def test_proximity_of_a_round_wire_is_the_integral_of_its_current(frequency):
    r, b = 2e-3, 0.01
    k, omega = (1 - 1j) / skin_effect.skin_depth(frequency, SIGMA), 2 * np.pi * frequency
    square = lambda s: s * abs(2 * b * jv(1, k * s) / (k * jv(0, k * r))) ** 2  # of A: E = i w A
    exact = 0.5 * SIGMA * omega**2 * np.pi * quad(square, 0, r, epsabs=0, epsrel=1e-10, limit=200)[0]
    assert skin_effect.round_wire_proximity(r, b, frequency, SIGMA) == pytest.approx(exact, rel=1e-7)


def test_slabs_are_thin_strips_at_low_frequency_and_surfaces_at_high():
    low, high = 20.0, 1e7
    np.testing.assert_allclose(skin_effect.slab_loss(1e-3, 0.01, low, SIGMA), skin_effect.thin_strip_loss(1e-3, 0.01, low, SIGMA), rtol=1e-5)
    delta = skin_effect.skin_depth(high, SIGMA)
    two_faces = (0.01 / MU_0) ** 2 / (SIGMA * delta)  # H^2 / (2 sigma delta) on each
    assert skin_effect.slab_loss(1e-3, 0.01, high, SIGMA) * 1e-3 == pytest.approx(two_faces, rel=1e-3)
    near = skin_effect.slab_loss(np.array([0.02999, 0.03001]) * delta, 0.01, high, SIGMA)
    assert near[1] / near[0] == pytest.approx((0.03001 / 0.02999) ** 2, rel=1e-4)  # where two forms meet


def test_bars_find_the_skin_effect_of_round_wires_and_tubes():
    errors = [skin_effect.resistance_ratios(skin_effect.round_section(2e-3, n), [1.0], 1e4, SIGMA)[0] for n in (16, 32)]
    exact = skin_effect.round_wire_ratio(2e-3, 1e4, SIGMA)
    assert abs(errors[1] / exact - 1) < 2e-3 and abs(errors[1] - exact) < abs(errors[0] - exact)
    thin = skin_effect.resistance_ratios(skin_effect.round_section(2e-3, 32, bore_radius=1.5e-3), [1.0], 1e3, SIGMA)[0]
    assert 1 < thin < skin_effect.round_wire_ratio(2e-3, 1e3, SIGMA)


def test_bars_find_the_loss_in_a_neighbours_field():
    """A pair of thin wires far apart: the field of the other is homogeneous across each."""
    r, distance, f = 1e-3, 12e-3, 3e3
    one = skin_effect.round_section(r, 24)
    pair = skin_effect.side_by_side([one, one.moved([distance, 0.0])])
    ratios = skin_effect.resistance_ratios(pair, [1.0, -1.0], f, SIGMA)
    loss = skin_effect.round_wire_proximity(r, MU_0 / (2 * np.pi * distance), f, SIGMA)
    exact = skin_effect.round_wire_ratio(r, f, SIGMA) + loss / (0.5 / (SIGMA * np.pi * r**2))
    np.testing.assert_allclose(ratios - 1, exact - 1, rtol=0.03)
    assert ratios[0] == pytest.approx(ratios[1], rel=1e-9)


def test_rectangles_and_hollow_conductors():
    """A strip far wider than thick carries its current at both edges; direct current is even; a bore changes little above."""
    flat = skin_effect.rectangle(8e-3, 2e-3, (32, 12))
    assert flat.area.sum() == pytest.approx(16e-6, rel=1e-12)
    assert skin_effect.resistance_ratios(flat, [5.0], 1e-3, SIGMA)[0] == pytest.approx(1.0, rel=1e-9)
    currents = skin_effect.bar_currents(flat, [5.0], 1e4, SIGMA)
    assert currents.sum() == pytest.approx(5.0, rel=1e-10)
    coarse = skin_effect.resistance_ratios(skin_effect.rectangle(8e-3, 2e-3, (24, 8)), [1.0], 1e4, SIGMA)[0]
    assert skin_effect.resistance_ratios(flat, [1.0], 1e4, SIGMA)[0] == pytest.approx(coarse, rel=5e-3)
    hollow, full = skin_effect.hollow_rectangle(6e-3, 6e-3, 3e-3, 3e-3, 8), skin_effect.rectangle(6e-3, 6e-3, (20, 20))
    assert hollow.area.sum() == pytest.approx(27e-6, rel=1e-12)
    ac = lambda bars: skin_effect.resistance_ratios(bars, [1.0], 2e4, SIGMA)[0] / bars.area.sum()
    assert ac(hollow) == pytest.approx(ac(full), rel=0.02)  # six skin depths of wall
    with pytest.raises(ValueError, match="bore must be smaller"):
        skin_effect.hollow_rectangle(6e-3, 6e-3, 7e-3, 3e-3)


def test_litz_against_its_strands():
    """Nineteen strands in hexagonal order, each made to carry the same current, as transposition does."""
    r, pitch, f = 0.2e-3, 0.5e-3, 2e4
    places = [(i + j / 2, j * np.sqrt(3) / 2) for i in range(-2, 3) for j in range(-2, 3) if abs(i + j) <= 2]
    strands = [skin_effect.round_section(r, 8).moved(pitch * np.array(place)) for place in places]
    ratios = skin_effect.resistance_ratios(skin_effect.side_by_side(strands), np.ones(19), f, SIGMA)
    bundle = np.sqrt(19 * pitch**2 * np.sqrt(3) / 2 / np.pi)  # the same area per strand
    found = skin_effect.litz_ratio(r, 19, bundle, f, SIGMA)
    assert found - 1 == pytest.approx(ratios.mean() - 1, rel=0.15) and found > 1.03
    with pytest.raises(ValueError, match="must fit into the bundle"):
        skin_effect.litz_ratio(r, 19, 0.8e-3, f, SIGMA)


def test_strip_tracks_in_each_others_field():
    """Two long parallel strips, side by side in one plane, at a frequency where the skin effect is small."""
    width, thickness, distance, f, length = 6e-3, 1e-3, 12e-3, 200.0, 4.0
    ends = [np.array([[x, 0, -length / 2], [x, 0, length / 2]]) for x in (0.0, distance)]
    cut = [np.linspace(*e, 201) for e in ends]
    start, end = np.concatenate([c[:-1] for c in cut]), np.concatenate([c[1:] for c in cut])
    source = Filaments(start, end, np.repeat([100.0, -100.0], 200))
    found = skin_effect.strip_proximity_loss(start, end, np.tile([0.0, 1, 0], (400, 1)), source, width, thickness, f, SIGMA)
    b = MU_0 * 100 / (2 * np.pi * distance)
    exact = 2 * length * width * thickness * skin_effect.thin_strip_loss(width, b, f, SIGMA)
    assert found == pytest.approx(exact, rel=0.02)  # ends
    bars = skin_effect.rectangle(width, thickness, (32, 4))
    pair = skin_effect.side_by_side([bars, bars.moved([distance, 0.0])])
    alone = skin_effect.resistance_ratios(bars, [1.0], f, SIGMA)[0]
    added = skin_effect.resistance_ratios(pair, [1.0, -1.0], f, SIGMA).mean() - alone
    both = 2 * 0.5 * 100**2 * length / (SIGMA * width * thickness)
    assert found == pytest.approx(added * both, rel=0.35)  # the field is not quite homogeneous across the strip


# --- heat -------------------------------------------------------------------------------------------------

H, KT, RS = 200.0, 3.0, 1e-5  # W/m2/K, W/K, ohm


def ball(level, radius=0.3):
    mesh = trimesh.creation.icosphere(subdivisions=level, radius=radius)
    return np.array(mesh.vertices), np.array(mesh.faces)


def test_the_temperature_of_a_sphere():
    """Heat 1 + P2(cos) is carried off over h, and over h + 6 kt/a^2."""
    errors = []
    for level in (2, 3, 4):
        vertices, faces = ball(level)
        p2 = 1.5 * (vertices[:, 2] / 0.3) ** 2 - 0.5
        found = cooling.temperature_rise(vertices, faces, 1e8 * (1 + p2[faces].mean(axis=1)), RS, H, KT)
        exact = 1e3 * (1 / H + p2 / (H + 6 * KT / 0.09))
        errors.append(np.abs(found - exact).max() / exact.max())
    assert np.all(rate(np.array(errors)) > 1.5) and errors[-1] < 3e-3


def test_a_cap_on_temperature_is_a_cap_on_density_where_heat_does_not_spread():
    cap = cooling.density_cap(40.0, RS, H)
    vertices, faces = ball(1)
    np.testing.assert_allclose(cooling.temperature_rise(vertices, faces, np.full(len(faces), cap**2), RS, H, 0.0), 40.0, rtol=1e-12)
    np.testing.assert_allclose(cooling.temperature_rise(vertices, faces, np.full(len(faces), cap**2), RS, H, KT), 40.0, rtol=1e-9)
    with pytest.raises(ValueError, match="heat_transfer must be positive"):
        cooling.temperature_rise(vertices, faces, np.ones(len(faces)), RS, 0.0, KT)


def test_the_cone_of_a_spot_is_its_temperature():
    source = wave(0.2, 10.0, 1, 16, 0.8, 0.2)
    vertices, faces = np.asarray(source.vertices), np.asarray(source.faces)
    every, rng = np.arange(len(faces)), np.random.default_rng(0)
    basis = np.linalg.qr(np.column_stack([np.asarray(source.stream), rng.normal(size=(len(vertices), 3))]))[0]
    design = Design({"coil": Sheet(vertices, faces, 1e3 * basis @ rng.normal(size=4))})
    square = (np.asarray(design.parts["coil"].surface_current()) ** 2).sum(axis=1)
    theta = cooling.temperature_rise(vertices, faces, square, RS, H, KT)
    np.testing.assert_allclose(cooling.hottest_rise("coil", vertices, faces, RS, H, KT).of(design), theta, rtol=1e-9)
    model, spot = SheetModel("coil", vertices, faces, every, np.ones(len(every)), sparse.csc_array(basis)), int(np.argmax(theta))
    cone = cooling.spot_residual(model, spot, RS, H, KT)
    assert cone.of(design).shape == (1, 4)
    assert np.linalg.norm(cone.of(design)) ** 2 == pytest.approx(theta[spot], rel=1e-6)
    other = Sheet(vertices, faces, np.asarray(design.parts["coil"].stream) + 500 * basis @ rng.normal(size=4))
    for near, sign in ((design.parts["coil"], 0), (other, -1)):
        tangent = float(cooling.spot_tangent("coil", near, spot, RS, H, KT).of(design)[0])
        assert np.sign(round((tangent - theta[spot]) / theta[spot], 9)) == sign
    unspread = cooling.temperature_rise(vertices, faces, square, RS, H, 1e-9)
    assert theta.max() < unspread.max() and theta.sum() > 0


def test_water_in_a_channel():
    d, length = 6e-3, 20.0
    area, perimeter = np.pi * d**2 / 4, np.pi * d
    slow, water = 3e-6, cooling.WATER
    laminar = cooling.channel(slow, area, perimeter, length)
    assert laminar.reynolds < 2300
    assert laminar.pressure_drop == pytest.approx(128 * water.viscosity * length * slow / (np.pi * d**4), rel=1e-12)  # Hagen-Poiseuille
    assert laminar.heat_transfer == pytest.approx(3.66 * water.conductivity / d)
    fast = cooling.channel(5e-5, area, perimeter, length, roughness=0.0)
    blasius = 0.316 * fast.reynolds**-0.25
    assert fast.friction == pytest.approx(blasius, rel=0.03) and fast.velocity == pytest.approx(5e-5 / area)
    assert fast.heat_transfer > 10 * laminar.heat_transfer
    rough = cooling.channel(5e-5, area, perimeter, length, roughness=0.05 * d)
    assert rough.friction == pytest.approx(0.0716, rel=0.05)  # Moody chart, fully rough: (-2 log10(0.05/3.7))^-2
    for flow in (slow, 5e-5):
        drop = cooling.channel(flow, area, perimeter, length).pressure_drop
        assert cooling.flow_at_pressure(drop, area, perimeter, length) == pytest.approx(flow, rel=1e-9)


# --- as limits of the convex problem ------------------------------------------------------------------------


@functools.cache
def small_coil():
    """A cylinder that makes dBz/dx in a ball within a tenth, at least power."""
    mesh = Cylinder(0.2, 0.7).mesh(0.13)
    none = Symmetry(np.eye(3)[None], np.array([1]), (), np.zeros(3))
    every, basis = np.arange(len(mesh.faces)), vertex_basis(mesh, none)
    model = SheetModel("coil", mesh.vertices, mesh.faces, every, np.ones(len(every)), basis)
    free = Free(lambda d: d.parts["coil"].stream, -1e6, 1e6, "coil", basis)
    power = Term(power_residual("coil", every, np.ones(len(every)), mesh.vertices, mesh.faces, RS))
    region = shell(0.08, order=6)
    wanted = 0.01 * region.points[:, 0]
    encoded = Limit(field.component(region, Z, "target"), wanted - 8e-5, wanted + 8e-5, scale=8e-5)
    start = Design({"coil": Sheet(mesh.vertices, mesh.faces, np.zeros(len(mesh.vertices)))})
    solved = lambda *more: convex.solve(Problem(start, [free], [power], [encoded, *more]))
    return model, solved, solved()


def limit_on_ball(model, loud):
    points = 0.12 * np.array(trimesh.creation.icosphere(subdivisions=1).vertices)
    return electric_field.ball_limit({"coil": (model.vertices, model.triangles)}, points, 1e4), "row", 0.97


def limit_on_body(model, loud):
    return electric_field.body_limit(electric_field.ellipsoid_body([0.1, 0.08, 0.15], level=1), [model], 1e4), "row", 0.97


def limit_on_modes(model, loud):
    modes = acoustics.wall_modes(2, 2)
    return acoustics.modal_force({"coil": (model.vertices, model.triangles)}, Uniform(3 * Z), Cylinder(0.2, 0.7), modes), "component", 0.9


def limit_on_spot(model, loud):
    theta = cooling.hottest_rise("coil", model.vertices, model.triangles, RS, H, 0.3).of(loud.design)
    return cooling.spot_residual(model, int(np.argmax(theta)), RS, H, 0.3), "row", 0.95


@pytest.mark.parametrize("limit", [limit_on_ball, limit_on_body, limit_on_modes, limit_on_spot])
def test_a_limit_is_held_and_costs_power(limit):
    model, solved, loud = small_coil()
    quantity, norm, share = limit(model, loud)
    size = lambda solution: (np.linalg.norm(quantity.of(solution.design), axis=1) if norm == "row" else np.abs(quantity.of(solution.design))).max()
    cap = share * float(size(loud))
    quiet = solved(Limit(quantity, -cap if norm == "component" else None, cap, norm, scale=cap))
    assert loud.status.ok and quiet.status.ok
    assert size(quiet) <= cap * (1 + 1e-4) and quiet.objective > loud.objective * (1 + 1e-6)


def test_tangents_hold_a_temperature_in_a_few_rounds():
    model, solved, loud = small_coil()
    theta = lambda solution: np.asarray(cooling.hottest_rise("coil", model.vertices, model.triangles, RS, H, 0.3).of(solution.design))
    cap, cuts, answer = 0.9 * theta(loud).max(), [], loud
    for turn in range(12):
        hot = np.flatnonzero(theta(answer) > cap * 1.002)
        if not len(hot):
            break
        for vertex in hot:
            tangent = cooling.spot_tangent("coil", answer.design.parts["coil"], int(vertex), RS, H, 0.3, f"spot {vertex}, {turn}")
            cuts.append(Limit(tangent, upper=cap, scale=cap))
        answer = solved(*cuts)
    assert theta(answer).max() <= cap * 1.002 and 1 <= turn < 11
