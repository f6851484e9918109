"""The exact cases of gradient coils: eddy currents, induced fields, stimulation, sound, heat, drive, concomitant fields, force.

Each row of reference/gradient_exact_cases.json is met by public functions at the row's own tolerance.
"""

import json
from pathlib import Path

import numpy as np
import pytest

from designtools import fields
from designtools.inductance import inductance
from designtools.quantities import acoustics, concomitant, cooling, driving, eddy, electric_field, skin_effect, stimulation
from designtools.sources import Dipoles, Filaments, Loops, Uniform

TABLE = json.loads((Path(__file__).parent / "reference" / "gradient_exact_cases.json").read_text(encoding="utf-8"))
ROWS = {row["id"]: row for row in TABLE["cases"]}
Z = np.array([0.0, 0.0, 1.0])


def largest(vectors):
    return np.linalg.norm(np.asarray(vectors), axis=1).max()


def meridian(radius, azimuth=0.0):
    """Points of a sphere every degree from pole to equator, where the fields of the cases are largest."""
    theta = np.radians(np.arange(91))
    return radius * np.stack([np.sin(theta) * np.cos(azimuth), np.sin(theta) * np.sin(azimuth), np.cos(theta)], axis=1)


def shell_times(a, d, sigma, k):
    of = lambda m, k: eddy.cylinder_time_constant(a, d, sigma, m, k)
    return {f"m{m}_{name}_s": of(m, value) for m in range(3) for name, value in (("k0", 0.0), ("k", k))}


def solid_decays(R, sigma):
    tau = eddy.solid_cylinder_decay(R, sigma)
    j01 = np.sqrt(TABLE_MU * sigma * R**2 / tau)
    return {"tau_sphere": eddy.solid_sphere_decay(R, sigma), "tau_cyl": tau, "j01": j01}


TABLE_MU = 4e-7 * np.pi


def shell_transfer(f, tau):
    tau = ROWS["ED01"]["outputs"]["m0_k0_s"]
    h, corner = eddy.transfer(f, tau), 1 / (2 * np.pi * tau)
    assert abs(eddy.transfer(corner, tau)) == pytest.approx(np.sqrt(0.5), rel=1e-12)
    return {"tau": tau, "absH": abs(h), "phase_deg": np.degrees(np.angle(h)), "f3dB": corner}


def shields(a, b, k):
    ratio = eddy.perfect_shield_ratio
    return {"m1": ratio(a, b, 1, k), "m0": ratio(a, b, 0, k), "m1_k0": ratio(a, b, 1)}


def preemphasis(alpha, tau):
    amplitude, time = eddy.preemphasis(alpha, tau)
    return {"amp": amplitude[0], "tau_pre": time[0]}


def ball_in_uniform_rate(R, dBdt):
    e = largest(electric_field.in_ball(Uniform(dBdt * Z), meridian(R)))
    return {"Emax_V_per_m": e, "ratio_dBdt_per_E": dBdt / e}


def cylinder_across(R, dBdt):
    rim = R * np.stack([np.cos(PHI := np.radians(np.arange(0, 360, 5))), np.sin(PHI), 0 * PHI], axis=1)
    return {"Emax_V_per_m": np.abs(electric_field.infinite_cylinder((dBdt, 0.0), rim)).max()}


def ball_in_z_gradient(R, slew):
    size = np.linalg.norm(electric_field.in_ball(concomitant.ideal_gradient([0, 0, slew]), meridian(R)), axis=1)
    return {"Emax": size.max(), "theta_deg": float(np.argmax(size))}


def ball_in_x_gradient(R, slew):
    source = concomitant.ideal_gradient([slew, 0, 0])
    inside = electric_field.in_ball(source, np.array([[0.06, 0.05, 0.04]]))[0]
    return {"Emax": largest(electric_field.in_ball(source, meridian(R))), "E_at_0p06_0p05_0p04": inside}


def moved(v, dBdz, R):
    rate, e = stimulation.motion_in_fringe(v, dBdz, R)
    return {"dBdt": rate, "E": e}


def limit_curves():
    out = {}
    for name in ROWS["PN01"]["outputs"]:
        curve, of, milliseconds = name.split("_")
        duration, of = float(milliseconds.removesuffix("ms")) * 1e-3, {"dBdt": "dB/dt", "E": "E"}[of]
        modes = {"L12": "first level", "L01": "normal"}
        out[name] = stimulation.cardiac_limit(duration, of) if curve == "cardiac" else stimulation.nerve_limit(duration, of, modes[curve])
    return out


def durations(f_Hz, G, S):
    t = G / S
    (whole, half), _ = stimulation.effective_durations([0, 2 * t, 3 * t], [-G, G, 0.0])
    assert stimulation.ramp_duration(2 * G, S) == pytest.approx(whole, rel=1e-12)
    return {"ts_sin_ms": 1e3 * stimulation.sine_duration(f_Hz), "ts_half_ramp_ms": 1e3 * half, "ts_full_swing_ms": 1e3 * whole}


def threshold(dGmin_mT_per_m, SRmin, t_ms):
    line = stimulation.Threshold(dGmin_mT_per_m * 1e-3, SRmin)
    t = t_ms * 1e-3
    return {"dG_thr_mT_per_m": 1e3 * line.swing(t), "chronaxie_ms": 1e3 * line.chronaxie, "slew_thr": line.slew_rate(t)}


def safe(S, ramp_ms, dt_ms, tau_ms, a, stim_limit, g_scale):
    axis = stimulation.SafeAxis(tuple(np.array(tau_ms) * 1e-3), tuple(a), stim_limit, g_scale)
    samples = np.full(round(ramp_ms / dt_ms), float(S))
    discrete = stimulation.safe_stimulation(samples, dt_ms * 1e-3, axis)[-1]
    return {"continuous_percent": stimulation.safe_ramp(S, ramp_ms * 1e-3, axis), "discrete_percent": discrete}


def strength_durations(t, c, rb):
    return {"weiss": stimulation.weiss(t, rb, c), "exponential": stimulation.lapicque(t, rb, c)}


def cut_ons(R, c):
    f = {n: acoustics.duct_cut_on(R, n, 1, c) for n in range(3)}
    root = lambda n: f[n] * 2 * np.pi * R / c
    return {"f_1_1": f[1], "f_2_1": f[2], "f_0_1": f[0], "jp11": root(1), "jp21": root(2)}


def shell_frequencies(E, rho, nu, R, h, L):
    wall = acoustics.ShellBody(R, h, L, E, rho, nu)
    donnell = {f"f_donnell_n{n}_m1": wall.frequency(n, 1) for n in range(3)}
    return {"f_breathing": wall.breathing, **donnell, "f_ring_n2": wall.ring_frequency(2), "f_ring_n3": wall.ring_frequency(3)}


def pressure(B0, K_A_per_m, R, E, h):
    p = acoustics.lorentz_pressure(K_A_per_m, B0)
    return {"p_Pa": p, "w_m": acoustics.ShellBody(R, h, 1.0, E, 2000.0).breathing_displacement(p)}


def weighting():
    return {f"A{f}": acoustics.a_weighting(f) for f in (100, 500, 2000)}


def trapezoid(flat_ms, ramp_ms):
    flat, ramp = flat_ms * 1e-3, ramp_ms * 1e-3
    zeros = acoustics.spectrum_zeros(flat, ramp)
    spectrum = acoustics.trapezoid_spectrum([*zeros, 750.0], flat, ramp) / (flat + ramp)
    assert np.all(spectrum[:2] < 1e-15)
    return {"first_null_Hz": zeros[0], "second_family_Hz": zeros[1], "sinc_at_750": spectrum[2]}


def amplifier(L, R, V, I, eta_mT_per_m_A):  # noqa: E741 - the current
    return {
        "t_exp_s": driving.exponential_rise(L, R, V, I),
        "t_lin_s": driving.linear_rise(L, R, V, I),
        "slew_T_m_s": driving.slew_rate(L, R, V, I, eta_mT_per_m_A * 1e-3),
        "fmax_sine_full_I_Hz": driving.sine_frequency(L, R, V, I),
        "E_stored_J": driving.stored_energy(L, I),
        "P_dc_W": driving.dissipation(R, I),
    }


def maxwell_x(B0, Gx, z):
    at = concomitant.ideal_gradient([Gx, 0, 0]), Uniform(B0 * Z), np.array([[0, 0, z]])
    exact, leading = float(concomitant.concomitant_field(*at)[0]), float(concomitant.second_order(*at)[0])
    hertz = concomitant.to_hertz(leading)
    return {"Bc_T": leading, "exact_T": exact, "ppm": 1e6 * leading / B0, "Hz": hertz, "rel_err_2nd_order": leading / exact - 1}


def maxwell_all(G, B0, p):
    at = concomitant.ideal_gradient(G), Uniform(B0 * Z), np.array([p])
    return {"Bc_T": concomitant.second_order(*at)[0], "exact_minus_Bz_T": concomitant.concomitant_field(*at)[0]}


def round_wire(r, f, sigma):
    return {"delta_m": skin_effect.skin_depth(f, sigma), "Rac_over_Rdc": skin_effect.round_wire_ratio(r, f, sigma)}


def strip(w, Bpk, f, sigma):
    return {"P_per_V": skin_effect.thin_strip_loss(w, Bpk, f, sigma)}


def water(P, Q_l_min):
    return {"dT_K": cooling.coolant_rise(P, Q_l_min * 1e-3 / 60)}


def coaxial_dipoles(m1, m2, d):
    one, other = (Dipoles([[0, 0, z]], [[0, 0, m]]) for z, m in ((0.0, m1), (d, m2)))
    return {"F_N": fields.force(one, other)[2]}


def coaxial_loops(a, b, d, I1, I2):
    one = Loops([[0, 0, 0.0]], [Z], [a], [I1])
    other = Loops([[0, 0, d]], [Z], [b], [I2])
    mutual = inductance([one, other], wire_radius=1e-3)[0, 1]
    return {"M_H": mutual, "F_N": fields.force(other, one)[2]}


def square(N, I, side, B):  # noqa: E741 - the current
    s = side / 2
    loop = Filaments.from_path([[s, s, 0], [-s, s, 0], [-s, -s, 0], [s, -s, 0.0]], current=float(N * I), closed=True)
    across = Uniform([B, 0.0, 0.0])
    force = np.abs(fields.force(loop, across)).max()
    assert force < 1e-12 * I * side * B
    return {"F_N": 0.0, "T_max_Nm": largest(fields.torque(loop, across)[None])}


CASES = {
    "ED01": shell_times, "ED03": solid_decays, "ED04": shell_transfer, "ED05": shields, "ED06": preemphasis,
    "EF01": ball_in_uniform_rate, "EF02": cylinder_across, "EF04": ball_in_z_gradient, "EF05": ball_in_x_gradient, "EF07": moved,
    "PN01": limit_curves, "PN02": durations, "PN03": threshold, "PN04": safe, "PN06": strength_durations,
    "AC01": round_wire, "AC03": strip, "AC10": cut_ons, "AC12": shell_frequencies, "AC13": pressure, "AC14": weighting,
    "AC15": trapezoid, "TH02": water, "AM01": amplifier, "MX01": maxwell_x, "MX03": maxwell_all,
    "FO01": coaxial_dipoles, "FO02": coaxial_loops, "FO04": square,
}  # fmt: skip


@pytest.mark.parametrize("name", ROWS)
def test_the_exact_case(name):
    row = ROWS[name]
    found = CASES[name](**row["inputs"])
    assert set(found) == set(row["outputs"])
    for key, value in row["outputs"].items():
        np.testing.assert_allclose(found[key], value, rtol=row["rel_tol"], atol=0, err_msg=f"{name} {key}")


def test_every_case_has_its_function():
    assert set(CASES) == set(ROWS)
