"""The written convention, exact expansions, projection and fit."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from designtools.harmonics import (
    Harmonics, fit, fit_with_errors, from_shim_terms, harmonics, multipoles, normalised, project, shim_terms,
    solid_harmonics, unnormalised, zonal,
)
from designtools.harmonics.conventions import PROTON, SHIM_CONVENTIONS
from designtools.kernels import solid
from designtools.regions import sphere_rule
from designtools.sources import (
    Arcs, Assembly, Blocks, Cylinders, Dipoles, Filaments, Loops, Magnets, Polyhedra, Posed, Sheet, Solenoids, Spheres,
    Strips, Uniform,
)
from designtools.units import MU_0


def coaxial(rows):
    """Loops from rows (radius, height, current)."""
    a, z, i = np.array(rows).T
    return Loops(np.column_stack([0 * z, 0 * z, z]), np.tile([0.0, 0.0, 1.0], (len(a), 1)), a, i)


def relative(rows, order=8):
    """h_n = a_n0/a_00 at R = 1, where the classic systems are quoted."""
    table = zonal(coaxial(rows), 1.0, order)
    return np.asarray(table / table[0])


def test_convention_in_cartesian_form():
    x, y, z = p = np.array([0.3, -0.5, 0.7])
    c, s = (table[0] for table in solid_harmonics(p[None], 3))
    np.testing.assert_allclose(c[1, :2], [z, x])
    np.testing.assert_allclose(s[1, :2], [0, y])
    np.testing.assert_allclose(c[2, :3], [(2 * z * z - x * x - y * y) / 2, 3 * x * z, 3 * (x * x - y * y)])
    np.testing.assert_allclose(s[2, :3], [0, 3 * y * z, 6 * x * y])
    np.testing.assert_allclose(c[3, 3], 15 * (x**3 - 3 * x * y * y))
    np.testing.assert_allclose(c[3, 1], 1.5 * x * (4 * z * z - x * x - y * y))


def test_table_follows_scipy_without_the_condon_shortley_sign():
    from scipy.special import assoc_legendre_p_all

    theta, phi = 0.7, 1.1
    point = np.array([[np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)]])
    c, s = solid_harmonics(point, 12)
    legendre = assoc_legendre_p_all(12, 12, np.cos(theta))[0]
    for n in range(13):
        for m in range(n + 1):
            value = (-1) ** m * legendre[n, m]
            assert c[0, n, m] == pytest.approx(value * np.cos(m * phi), rel=1e-10, abs=1e-10)
            assert s[0, n, m] == pytest.approx(value * np.sin(m * phi), rel=1e-10, abs=1e-10)


def test_helmholtz_pair():
    """B0 = (4/5)^(3/2) mu0 NI/R; h2 = 0, h4 = -1.152."""
    rows = [(1, 0.5, 1), (1, -0.5, 1)]
    assert float(zonal(coaxial(rows), 1.0, 0)[0]) == pytest.approx(8.991762855732131e-07, rel=1e-14)
    h = relative(rows, 4)
    np.testing.assert_allclose(h[1:4], 0, atol=1e-15)
    assert h[4] == pytest.approx(-1.152, rel=1e-13)


def test_maxwell_tri_coil():
    """49:64:49 on a sphere: h2 = h4 = 0, h6 = -2.042857142857145 (recomputed)."""
    a, z = np.sqrt(4 / 7), np.sqrt(3 / 7)
    h = relative([(1, 0, 64), (a, z, 49), (a, -z, 49)])
    np.testing.assert_allclose(h[[2, 4]], 0, atol=2e-15)
    assert h[6] == pytest.approx(-2.042857142857145, rel=1e-13)
    assert h[8] == pytest.approx(2.878097667638485, rel=1e-13)


def test_lee_whiting_coils():
    """Four equal loops of eighth order: h2 = h4 = h6 = 0, h8 = -0.5615831514331165 (recomputed)."""
    z1, z2, ratio = 0.2431859770742156, 0.9407328926479478, 0.44239107222800245
    h = relative([(1, z1, ratio), (1, -z1, ratio), (1, z2, 1), (1, -z2, 1)])
    np.testing.assert_allclose(h[[2, 4, 6]], 0, atol=1e-14)
    assert h[8] == pytest.approx(-0.5615831514331165, rel=1e-12)


def test_maxwell_gradient_pair():
    """eta = 0.6413 mu0/a^2, leading error -(176/343)(z/a)^4."""
    a, current = 0.3, 100.0
    z = a * np.sqrt(3) / 2
    table = zonal(coaxial([(a, z, current), (a, -z, -current)]), a, 5)
    assert float(table[1]) / a == pytest.approx(0.00089541449253519, rel=1e-12)
    assert float(table[3]) == pytest.approx(0, abs=1e-18)
    assert float(table[5] / table[1]) == pytest.approx(-176 / 343, rel=1e-12)


SHIELDED = Blocks([0.48, 0.48, 0.9], [0.5, 0.5, 0.92], [0.1, -0.3, -0.2], [0.3, -0.1, 0.2], [1e8, 1e8, -1e8])


@pytest.mark.parametrize(
    "source",
    [SHIELDED, coaxial([(0.5, 0.1, 3.0), (0.6, -0.4, -2.0)]), Assembly([SHIELDED, coaxial([(0.5, 0.1, 1e5)])])],
    ids=["blocks", "loops", "both"],
)
def test_exact_expansion_is_the_projection(source):
    exact = harmonics(source, 0.25, 16)
    projected = project(source, 0.25, 16, rule=90)
    np.testing.assert_allclose(exact.zonal, harmonics(source, 0.25, 16, axis=(0, 0, 2.0)).zonal, rtol=1e-13)
    size = np.abs(exact.cosine).max()
    np.testing.assert_allclose(exact.cosine, projected.cosine, atol=1e-12 * size)
    np.testing.assert_allclose(exact.sine, projected.sine, atol=1e-12 * size)
    inside = 0.2 * sphere_rule(4)[0]
    np.testing.assert_allclose(
        harmonics(source, 0.25, 40).component(inside), source.field(inside)[:, 2], atol=1e-13 * size
    )


def test_expansion_about_another_centre():
    points = np.array([0, 0, 0.1]) + 0.1 * sphere_rule(4)[0]
    table = harmonics(SHIELDED, 0.2, 40, centre=(0, 0, 0.1))
    np.testing.assert_allclose(table.component(points), SHIELDED.field(points)[:, 2], rtol=1e-12)


RING = Filaments.from_path([[0.6, 0, 0], [0, 0.6, 0.1], [-0.6, -0.1, 0.4], [0.1, -0.7, 0.3]], 1e4, closed=True)
TETRAHEDRON = np.array([[0.4, 0, 0], [0.7, 0.1, 0], [0.5, 0.4, 0.1], [0.5, 0.1, 0.4]])
OUTWARD = np.array([[0, 2, 1], [0, 1, 3], [1, 2, 3], [0, 3, 2]])
KINDS = {
    "segments": RING,
    "long lead": Filaments([[0.3, -50.0, 0.1]], [[0.3, 60.0, 0.1]], [1e3]),
    "arc": Arcs([[0.1, 0, 0.1]], [[0.3, 0.2, 0.1]], [0.5], [0.3], [2.0], [1e4]),
    "tilted loop": Loops([[0.1, 0.2, 0.5]], [[1, 2, 3]], [0.3], [1e4]),
    "block": Blocks([0.48], [0.5], [0.1], [0.3], [1e8]),
    "solenoid": Solenoids([[0.0, 0.1, 0.0]], [[0.1, 0.0, 0.0]], [0.4], [0.5], [1e4]),
    "strip": Strips([[0.4, -0.3, 0.1]], [[0.4, 0.3, 0.0]], [[0.0, 0.0, 0.1]], [1e4]),
    "sheet": Sheet(TETRAHEDRON, OUTWARD, [1e3, -2e3, 3e3, 0.0]),
    "magnet": Magnets([[0.5, 0.1, 0.2]], [[0.1, 0.2, 0.1]], [[0.3, 0.2, 0.1]], [[1, 0.2, 0.3]]),
    "cylinder": Cylinders([[0.5, 0.1, 0.0]], [[0.3, 0.2, 0.1]], [0.05], [0.1], [0.2], [[1, 0.2, 0.3]]),
    "polyhedron": Polyhedra(TETRAHEDRON, OUTWARD, [0, 0, 0, 0], [[1, 0.2, 0.3]]),
    "dipole": Dipoles([[0.5, 0.2, 0.1]], [[1e4, 2e4, 3e4]]),
    "sphere": Spheres([[0.5, 0.2, 0.1]], [0.1], [[1.0, 0.2, 0.3]]),
    "posed": Posed(RING, [0.05, 0.0, 0.1], [0.1, 0.2, 0.3]),
    "uniform": Uniform([0.1, 0.2, 0.3]),
}


def compared(table, other):
    size = max(np.abs(other.cosine).max(), np.abs(other.sine).max())
    return max(np.abs(table.cosine - other.cosine).max(), np.abs(table.sine - other.sine).max()) / size


@pytest.mark.parametrize("kind", KINDS)
def test_exact_from_the_source_is_the_projection_of_its_field(kind):
    """About a centre off every symmetry, for an oblique axis."""
    source, arguments = KINDS[kind], dict(axis=(1.0, 2.0, -2.0), centre=(0.02, 0.01, 0.03))
    table = harmonics(source, 0.06, 6, **arguments)
    assert compared(table, project(source, 0.06, 6, rule=34, **arguments)) < 2e-13


@pytest.mark.parametrize("kind", ["segments", "magnet", "dipole", "tilted loop", "sheet"])
def test_multipoles_rebuild_the_far_field_within_their_bound(kind):
    far = multipoles(KINDS[kind], 16)
    points = sphere_rule(6)[0]
    for distance in (1.6, 2.5, 8.0):
        error = np.abs(far.field(distance * far.radius * points) - KINDS[kind].field(distance * far.radius * points)).max()
        bound = float(far.error_bound(distance * far.radius))
        largest = np.abs(KINDS[kind].field(distance * far.radius * points)).max()
        assert error <= bound + 1e-13 * largest
        assert distance < 8 or bound < 1e-8 * largest
    assert np.isinf(far.error_bound(0.9 * far.radius))


@pytest.mark.parametrize("regular", [True, False])
def test_slopes_of_moments_are_moments(regular):
    """Against central differences, forward and reverse, in points and weights."""
    rng = np.random.default_rng(0)
    points, weights, turn = rng.normal(size=(9, 3)), rng.normal(size=(9, 2)), rng.normal(size=(2, 6, 6))
    way = rng.normal(size=points.shape), rng.normal(size=weights.shape)
    total = lambda p, w: jnp.sum(turn * solid.moments(p, w, 5, regular).real) + jnp.sum(
        turn * solid.moments(p, w, 5, regular).imag
    )
    ahead = jax.jvp(total, (points, weights), way)[1]
    back = sum(jnp.sum(g * d) for g, d in zip(jax.grad(total, argnums=(0, 1))(points, weights), way))
    h = 1e-6
    central = (total(points + h * way[0], weights + h * way[1]) - total(points - h * way[0], weights - h * way[1])) / 2 / h
    assert float(ahead) == pytest.approx(float(central), rel=1e-6)
    assert float(back) == pytest.approx(float(ahead), rel=1e-12)


@pytest.mark.parametrize("kind", ["segments", "magnet", "tilted loop"])
def test_derivatives_by_every_leaf(kind):
    source = KINDS[kind]
    total = lambda s: jnp.sum(jnp.sin(1e3 * harmonics(s, 0.12, 6, nodes=40, centre=(0.02, 0.01, 0.03)).cosine))
    slope = jax.jit(jax.grad(total))(source)
    value = jax.jit(total)
    rng = np.random.default_rng(1)
    for name in source.__dataclass_fields__:
        leaf = np.asarray(getattr(source, name), float)
        step = 1e-5 * max(1.0, np.abs(leaf).max()) * rng.normal(size=leaf.shape)
        moved = [type(source)(**{**vars(source), name: leaf + sign * step}) for sign in (1, -1)]
        numeric = (value(moved[0]) - value(moved[1])) / 2
        assert float(jnp.sum(getattr(slope, name) * step)) == pytest.approx(float(numeric), rel=1e-5), name


def test_other_frames_centres_and_radii_are_the_same_field():
    table = harmonics(RING, 0.2, 7, centre=(0.02, 0.0, 0.01), axis="x")
    rng = np.random.default_rng(2)
    points, frame = 0.1 * rng.normal(size=(20, 3)), np.linalg.qr(rng.normal(size=(3, 3)))[0]
    here = np.asarray(table.component(points))
    for same, places in (
        (table.rotated(frame), points @ frame.T),
        (table.about((0.0, 0.03, -0.02)), points),
        (table.at_radius(0.05), points),
        (table.rotated(frame).rotated(frame.T).about(table.centre), points),
    ):
        np.testing.assert_allclose(same.component(places), here, atol=1e-13 * np.abs(here).max())
    np.testing.assert_allclose(table.rotated(frame).axis, frame @ [1, 0, 0], atol=1e-15)
    assert compared(table.about((0.0, 0.0, 0.0)).about(table.centre), table) < 1e-12


def test_spherical_normalisations():
    """Mean squares over the sphere: 1/(2n+1) for Schmidt, 1 for full, 1/4 pi for orthonormal; and there and back."""
    rng = np.random.default_rng(3)
    directions, weights = sphere_rule(12)
    a, b = np.tril(rng.normal(size=(6, 6))), np.tril(rng.normal(size=(6, 6)), -1)
    b[:, 0] = 0
    n = np.arange(6)
    for kind, square in {"schmidt": 1 / (2 * n + 1), "full": 1 + 0 * n, "orthonormal": (1 + 0 * n) / (4 * np.pi)}.items():
        for m in (0, 1, 3):
            one = np.zeros((6, 6))
            one[4, m] = 1.0
            values = unnormalised(one, 0 * one, kind, 1.0).component(directions)
            assert float(weights @ values**2) == pytest.approx(square[4], rel=1e-12)
        for sign in (False, True):
            table = unnormalised(a, b, kind, 0.2, condon_shortley=sign)
            back = normalised(table, kind, condon_shortley=sign)
            np.testing.assert_allclose(np.stack(back), np.stack([a, b]), rtol=1e-14)
    table = unnormalised(a, b, "schmidt", 0.2, condon_shortley=True)
    assert float(table.cosine[1, 1]) == -a[1, 1]  # one sign for odd m
    with pytest.raises(ValueError, match="must be one of ferrer"):
        normalised(table, "fourpi")


POLYNOMIALS = {
    "siemens": {"X": "x", "Z2": "z*z-(x*x+y*y)/2", "ZX": "2*z*x", "ZY": "2*z*y", "X2-Y2": "x*x-y*y", "XY": "2*x*y"},
    "philips": {"Y": "y", "Z2": "z*z-(x*x+y*y)/2", "ZX": "z*x", "ZY": "z*y", "X2-Y2": "x*x-y*y", "2XY": "2*x*y"},
    "ge": {"Z": "z", "XY": "x*y", "ZY": "z*y", "ZX": "z*x", "X2-Y2": "x*x-y*y", "Z2": "z*z-(x*x+y*y)/2"},
    "cartesian": {
        "Z3": "z**3-1.5*z*(x*x+y*y)", "Z2X": "x*(4*z*z-x*x-y*y)", "Z2Y": "y*(4*z*z-x*x-y*y)", "XYZ": "x*y*z",
        "Z(X2-Y2)": "z*(x*x-y*y)", "X3": "x**3-3*x*y*y", "Y3": "3*x*x*y-y**3",
    },
}  # fmt: skip


@pytest.mark.parametrize("maker", SHIM_CONVENTIONS)
def test_shim_terms_are_the_named_polynomials(maker):
    """Polynomials and flips written out by hand from the sources named in `conventions`."""
    rng, convention = np.random.default_rng(4), SHIM_CONVENTIONS[maker]
    points = rng.normal(size=(5, 3))
    flips = {"LAI": [-1, 1, -1], "RPI": [1, -1, -1], "LPI": [-1, -1, -1], "RAS": [1, 1, 1]}[convention.axes]
    for name, polynomial in POLYNOMIALS[maker].items():
        x, y, z = points.T
        table = from_shim_terms({name: 2.0}, maker, 0.2)
        np.testing.assert_allclose(table.component(points), 2 * convention.unit * eval(polynomial, {"x": x, "y": y, "z": z}))
        x, y, z = (points * flips).T
        scanner = from_shim_terms({name: 2.0}, maker, 0.2, axes="RAS", gyromagnetic_ratio=PROTON).hertz()
        np.testing.assert_allclose(scanner.component(points), 2 * eval(polynomial, {"x": x, "y": y, "z": z}), atol=1e-12)
    amplitudes = {name: float(rng.normal()) for name in convention.terms}
    for given in ({}, {"axes": "LPS"}, {"axes": "RAS", "gyromagnetic_ratio": PROTON}):
        back = shim_terms(from_shim_terms(amplitudes, maker, 0.3, **given), maker, **given)
        assert back == pytest.approx(amplitudes, rel=1e-11)


def test_ppm_and_hertz():
    table = harmonics(coaxial([(0.5, 0.25, 1e5), (0.5, -0.25, 1e5)]), 0.1, 6)
    ppm = table.ppm()
    assert float(ppm.zonal[0]) == pytest.approx(1e6)
    assert float(ppm.zonal[4]) == pytest.approx(-1.152e6 * (0.1 / 0.5) ** 4, rel=1e-12)
    assert float(table.hertz().zonal[0]) == pytest.approx(PROTON * float(table.zonal[0]))


def test_errors_of_a_fit_are_those_of_repeated_measurements():
    """2000 noisy repetitions: scatter of each coefficient against its standard error; chi-square of the residual."""
    rng = np.random.default_rng(5)
    points = 0.2 * sphere_rule(6)[0]
    clean, noise = np.asarray(harmonics(RING, 0.2, 2).component(points)), 1e-6
    weights = rng.uniform(0.5, 2.0, len(points))
    noisy = lambda: clean + noise * rng.normal(size=len(points)) / np.sqrt(weights)
    one = fit_with_errors(points, noisy(), 2, 0.2, weights=weights, noise=noise)
    many = np.stack([fit(points, noisy(), 2, 0.2, weights=weights).cosine for _ in range(400)])
    lower = np.tril(np.ones((3, 3), bool))
    np.testing.assert_allclose(many.std(axis=0)[lower], one.cosine_error[lower], rtol=0.15)
    guessed = fit_with_errors(points, noisy(), 2, 0.2, weights=weights)
    np.testing.assert_allclose(guessed.cosine_error[lower], one.cosine_error[lower], rtol=0.4)
    assert one.names[:3] == (("cosine", 0, 0), ("cosine", 1, 0), ("cosine", 1, 1)) and one.covariance.shape == (9, 9)
    assert 1 <= one.condition < 3 < fit_with_errors(points * [1, 1, 0.05], clean, 2, 0.2).condition


def test_fit_recovers_a_known_field():
    rng = np.random.default_rng(0)
    a, b = np.tril(rng.normal(size=(5, 5))), np.tril(rng.normal(size=(5, 5)))
    b[:, 0] = 0
    truth = Harmonics(a, b, 0.2, (0.01, 0.0, 0.0))
    points = 0.15 * rng.normal(size=(200, 3))
    found = fit(points, truth.component(points), 4, 0.2, centre=(0.01, 0.0, 0.0))
    np.testing.assert_allclose(found.cosine, a, atol=1e-10)
    np.testing.assert_allclose(found.sine, b, atol=1e-10)
    np.testing.assert_allclose(truth.at_radius(0.1).component(points), truth.component(points), rtol=1e-9)


def test_zonal_derivatives():
    leaves = [np.asarray(value) for value in SHIELDED._leaves()]

    def total(leaves):
        return jnp.sum(jnp.arange(1.0, 8.0) * zonal(Blocks(*leaves), 0.25, 6))

    slope = jax.grad(total)(leaves)
    for i, leaf in enumerate(leaves):
        step = 1e-6 * np.abs(leaf).max() * np.array([1.0, -0.3, 0.7])
        moved = [[value + (k == i) * s * step for k, value in enumerate(leaves)] for s in (1, -1)]
        numeric = (total(moved[0]) - total(moved[1])) / 2
        assert float(slope[i] @ step) == pytest.approx(float(numeric), rel=1e-6)


def test_refusals_are_sentences():
    with pytest.raises(ValueError, match="radius must be less than 0.480104 m"):
        harmonics(SHIELDED, 0.6, 4, centre=(0, 0, 0.09))
    with pytest.raises(ValueError, match="axis must be"):
        harmonics(SHIELDED, 0.2, 4, axis="w")
    with pytest.raises(ValueError, match="lower the order"):
        fit(np.zeros((3, 3)), np.zeros(3), 2, 0.1)
    with pytest.raises(ValueError, match="one component of the field"):
        fit(np.zeros((3, 3)), np.zeros((3, 3)), 2, 0.1)
    with pytest.raises(ValueError, match="use 0 to leave a point out"):
        fit(np.zeros((3, 3)), np.zeros(3), 1, 0.1, weights=[1, 1, -1])
    with pytest.raises(ValueError, match="order must be a whole number from 0 to 79"):
        harmonics(SHIELDED, 0.2, 90)
    with pytest.raises(ValueError, match="terms of 'ge' must be among X, Y"):
        from_shim_terms({"2XY": 1.0}, "ge", 0.1)
    with pytest.raises(ValueError, match="maker must be one of siemens"):
        shim_terms(harmonics(SHIELDED, 0.2, 2), "acme")
    with pytest.raises(TypeError, match="leave background fields out"):
        multipoles(Assembly([SHIELDED, Uniform([0, 0, 1])]), 4)
    with pytest.raises(ValueError, match="orthogonal unit vectors"):
        harmonics(SHIELDED, 0.2, 2).rotated(2 * np.eye(3))
    assert MU_0 == pytest.approx(1.2566370614359e-06)


def test_zonal_harmonics_of_a_winding_much_longer_than_wide():
    """Its series is that of the samples; one rule over the whole length would miss the near rings."""
    source = Blocks([0.2], [0.25], [-1.2], [1.6], [5e7])
    ours, theirs = zonal(source, 0.1, 12), project(source, 0.1, 12).zonal
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-12 * np.abs(theirs).max())
