"""Results made by hand, small and with known sizes, for the tests of the output layer."""

import contourpy
import numpy as np

from designtools import result as r
from designtools.formers.cylinder import Cylinder
from designtools.sources.assembly import Assembly
from designtools.sources.loops import Loops
from designtools.windings.winding import Track, Winding

HOSTILE = "<script>alert('x')</script> \"&' ./../é\n#"


def winding(name="primary", radius=0.15, length=0.4, levels=4, current=100.0, sense=1):
    """Contours of a smooth x-gradient stream function: closed tracks in four lobes, two of them over u = 0."""
    former = Cylinder(radius=radius, length=length)
    u, v = np.linspace(-np.pi / 2, 3 * np.pi / 2, 181), np.linspace(-length / 2, length / 2, 121)
    psi = np.cos(u)[:, None] * np.sin(2 * np.pi * v / length)[None] * np.cos(np.pi * v / length)[None]
    lines = contourpy.contour_generator(v, u, psi)
    top = np.abs(psi).max()
    heights = top * (np.arange(levels) + 0.5) / levels
    contours = [c for h in heights for s in (1, -1) for c in lines.lines(s * h)]
    return Winding(
        name, tuple(_track(former, c[:, ::-1][::sense]) for c in contours), current, 4e-3, 2e-3
    ), former


def _track(former, uv):
    points, normals = former.at(uv), former.normal(uv)
    points[-1], normals[-1] = points[0], normals[0]
    jog = len(points) // 10
    return Track(points, normals, ("jog",) * jog + ("turn",) * (len(points) - 1 - jog))


def coarse(wound, keep=20):
    """The same winding with about `keep` points per track."""
    tracks = []
    for track in wound.tracks:
        pick = np.unique(np.linspace(0, len(track.points) - 1, keep).astype(int))
        tracks.append(Track(track.points[pick], track.normals[pick], ("turn",) * (len(pick) - 1)))
    return Winding(wound.name, tuple(tracks), wound.current, wound.width, wound.thickness)


def gradient(name="head gradient x", **changes):
    """An actively shielded transverse coil with everything a report can show."""
    primary, inner = winding()
    shield, outer = winding("shield", 0.2, 0.5, 3, sense=-1)
    figures = {
        "efficiency": r.Figure(1.234e-4, "T/m/A", "discrete wires, at the centre", 2e-8),
        "linearity_error_max": r.Figure(0.043, "1", "2000 audit points in the region"),
        "inductance": r.Figure(3.1e-4, "H", "Neumann's formula over the joined tracks", 2e-6),
        "resistance": r.Figure(0.11, "ohm", "copper at 20 degC, direct current"),
        "stray_field_max": r.Figure(8e-6, "T", "on the stray cylinder"),
        "torque": r.Figure(float("nan"), "N·m", "not evaluated"),
    }
    wanted = [
        {"quantity": "linearity_error_max", "op": "<=", "limit": 0.05},
        {"quantity": "stray_field_max", "op": "<=", "limit": 5e-6},
        {"quantity": "efficiency", "op": ">=", "limit": 1e-4},
        {"quantity": "torque", "op": "<=", "limit": 1.0},
    ]
    values = {
        "kind": "gradient",
        "name": name,
        "status": "requirement missed",
        "message": "1 of 4 requirements is missed",
        "figures": figures,
        "requirements": r.evaluate_requirements(wanted, figures),
        "audit": _audit(),
        "timing_s": {"assemble": 1.2, "solve": 4.5, "wind": 2.2, "audit": 3.1},
        "provenance": {"designtools": "0.1.0", "python": "3.11", "spec_sha256": "ab12"},
        "spec": {
            "kind": "gradient",
            "name": name,
            "version": 1,
            "primary": {"radius": "150 mm"},
            "former": {"thickness": "6 mm", "groove_depth": "2.5 mm"},
        },
        "source": Assembly([primary.filaments(), shield.filaments()]),
        "windings": (primary, shield),
        "formers": {"primary": inner, "shield": outer},
        "maps": (_map(),),
        "plots": _plots(inner),
    }
    return r.Result(**(values | changes))


def shim(name="sixteen loops"):
    """Loops round a head, and a map in image space."""
    angle = 2 * np.pi * np.arange(16) / 16
    normal = np.stack([np.cos(angle), np.sin(angle), np.zeros(16)], axis=1)
    loops = Loops(
        centre=0.16 * normal, normal=normal, radius=np.full(16, 0.03), current=np.linspace(-2, 2, 16)
    )
    values = np.arange(5 * 6 * 7, dtype=float).reshape(5, 6, 7) - 80
    affine = np.array([[-2.0, 0, 0, 10], [0, 1.8, 0.6, -20], [0, -0.6, 1.8, 30], [0, 0, 0, 1]])
    spacing = np.linalg.norm(affine[:3, :3], axis=0) / 1e3
    axes = tuple(np.arange(n) * s for n, s in zip(values.shape, spacing))
    b0 = r.FieldMap("b0", axes, values, "Hz", affine)
    rest = r.FieldMap("b0_shimmed", axes, values / 3, "Hz", affine)
    rng = np.random.default_rng(1)
    edges = np.linspace(-200, 200, 41)
    counts = {k: np.histogram(rng.normal(0, s, 4000), edges)[0] for k, s in (("before", 60), ("after", 25))}
    return r.Result(
        kind="shim",
        name=name,
        status="done",
        figures={
            "b0_std_shimmed": r.Figure(25.0, "Hz", "over the mask"),
            "b0_std_unshimmed": r.Figure(60.0, "Hz", "over the mask"),
        },
        source=Assembly([loops]),
        maps=(b0, rest),
        plots={"offsets": r.Histogram("Off-resonance over the brain", edges, counts, "Hz", "off-resonance")},
    )


def _audit():
    return {
        "views": {
            "continuous": {"efficiency": 1.24e-4, "linearity_error_max": 0.041},
            "discrete": {"efficiency": 1.235e-4, "linearity_error_max": 0.0425},
            "joined": {"efficiency": 1.234e-4, "linearity_error_max": 0.043},
        },
        "magpylib": {"largest_difference_T": 3e-13, "relative": 2e-11, "points": 500},
        "solver": {"status": "optimal", "duality_gap": 4e-9, "iterations": 14},
    }


def _map():
    axes = tuple(np.linspace(-0.1, 0.1, n) for n in (9, 11, 13))
    x, y, z = np.meshgrid(*axes, indexing="ij")
    return r.FieldMap("B per ampere", axes, np.stack([z, 0 * y, x], axis=-1) * 1e-4, "T")


def _plots(former):
    x = np.linspace(-0.15, 0.15, 81)
    z = np.linspace(-0.2, 0.2, 91)
    error = 0.05 * ((x[:, None] / 0.1) ** 4 - 2 * (x[:, None] / 0.1) ** 2 * (z[None] / 0.1) ** 2 * 0.5)
    far_x, far_z = np.linspace(0, 1, 60), np.linspace(-1, 1, 80)
    stray = 1e-3 / (0.05 + far_x[:, None] ** 2 + far_z[None] ** 2) ** 2 * 1e-3
    mesh = former.mesh(0.02)
    u, v = mesh.uv.T
    density = 4e4 * np.abs(np.cos(u) * np.sin(2 * np.pi * v / former.length))
    arc = np.column_stack([former.radius * u, v])
    period = 2 * np.pi * former.radius
    return {
        "region": r.Ball("region of interest", 0.1),
        "linearity": r.PlaneMap(
            "Linearity error in the plane y = 0",
            x,
            z,
            error,
            "1",
            "x",
            "z",
            label="error",
            diverging=True,
            levels=(-0.05, 0.05),
            circle=(0.0, 0.0, 0.1),
            span=(-0.15, 0.15),
            origin=np.zeros(3),
            x_direction=np.array([1.0, 0, 0]),
            y_direction=np.array([0, 0, 1.0]),
            caption="Field deviation relative to the target's peak; black lines are ±5 %.",
        ),
        "profile": r.Lines(
            "Gradient along x",
            x,
            {"Bz": 1e-4 * x, "target": 1.02e-4 * x},
            "T",
            x_label="x",
            y_label="Bz per ampere",
        ),
        "stray": r.PlaneMap(
            "Stray field at 100 A", far_x, far_z, stray, "T", "r", "z", label="|B|", log=True, levels=(5e-6,)
        ),
        "density": r.SurfaceMap(
            "Current density, primary", arc, mesh.faces, density, "A/m", "|J|", period=period
        ),
        "surface": r.SurfaceMap(
            "Current density on the cylinder", mesh.vertices, mesh.faces, density, "A/m", "|J|"
        ),
        "convergence": r.Lines(
            "Duality gap",
            np.arange(1, 15.0),
            {"gap": 10.0 ** -np.linspace(0, 8.4, 14)},
            "1",
            x_unit="1",
            x_label="iteration",
            y_label="gap",
            log_y=True,
            marks={"asked": 1e-6},
        ),
        "winding": r.Table(
            "Windings",
            ("layer", "turns", "length"),
            (("primary", 16, r.Figure(21.3, "m", "")), ("shield", 12, r.Figure(18.2, "m", ""))),
        ),
    }
