"""Soft iron in the field of a magnet: nonlinear finite elements, reduced scalar potential.

H = H0 - grad phi, with H0 the exact field of the source and phi that of the iron alone.  For every test function v

    integral mu0 grad phi . grad v  =  integral over the iron of J(H) . grad v,      B = mu0 H + J(H),

solved by Newton steps with a line search.  The source term lives in the iron only, where H0 is put into the space of
the gradients first: an H0 that its gradients cannot cancel exactly would be amplified by the permeability.  Far
away phi falls at least as a dipole's potential: on the outer boundary d phi/dn = -2 phi (r.n)/r^2.  The field outside
is not taken from the mesh but summed from the polarization found in every element.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from designtools.siting.sampling import field
from designtools.siting.steel import Curve, low_carbon
from designtools.sources import Assembly, Loops, Magnets
from designtools.units import MU_0

STEPS, CLOSE = 60, 1e-8  # most Newton steps, and the relative residual at which they end


class Body(NamedTuple):
    """Elements of a mesh that are made of one material."""

    name: str
    elements: np.ndarray
    curve: Curve


@dataclass(frozen=True)
class Magnetised:
    """The solution: per body the polarization (E,dim) T and flux density (E,dim) T, means over its elements (x, y, z or,
    axisymmetric, r, z), volume (E,) m3; `residuals`: relative, after each Newton step; `converged`."""

    mesh: Any
    bodies: tuple[Body, ...]
    polarization: dict[str, np.ndarray]
    flux_density: dict[str, np.ndarray]
    volume: dict[str, np.ndarray]
    residuals: tuple[float, ...]
    converged: bool
    axisymmetric: bool


def magnetise(mesh, bodies, applied: Callable, axisymmetric: bool = False) -> Magnetised:
    """Solve for the polarization of `bodies` on a skfem mesh of quadrilaterals (r, z) or hexahedra (x, y, z).

    applied(points (P,dim)) -> B0 (P,dim) T without the iron.  Raises ImportError without scikit-fem.
    """
    system = _System(mesh, bodies, applied, axisymmetric)
    nearby = None if axisymmetric else _without_iron(mesh, system.stiffness)
    phi, residuals = np.zeros(system.size), []
    scale = None
    for _ in range(STEPS):
        residual, tangent = system.linearised(phi)
        scale = scale or max(np.linalg.norm(residual), 1e-300)
        residuals.append(float(np.linalg.norm(residual) / scale))
        if residuals[-1] < CLOSE:
            break
        phi = _searched(system, phi, _solved(tangent, -residual, nearby), residual)
    polarization, flux, volume = system.means(phi)
    return Magnetised(mesh, tuple(bodies), polarization, flux, volume, tuple(residuals), residuals[-1] < 1e-6, axisymmetric)


def _skfem():
    """scikit-fem, or a sentence on how to get it."""
    try:
        import skfem
    except ImportError:
        raise ImportError("plates of steel need scikit-fem: install designtools[iron], or leave siting.plates out") from None
    return skfem


def _searched(system, phi, step, residual):
    """The longest of the steps 1, 1/2, 1/4 ... that lowers the residual."""
    start, share = np.linalg.norm(residual), 1.0
    while share > 1e-3 and np.linalg.norm(system.residual(phi + share * step)) > (1 - 1e-4 * share) * start:
        share /= 2
    return phi + share * step


def _solved(matrix, right, nearby):
    """Direct in the meridian plane; in space conjugate gradients, preconditioned by the solver of the mesh without iron."""
    from scipy.sparse import linalg

    if nearby is None:
        return linalg.spsolve(matrix.tocsc(), right)
    found, _ = linalg.cg(matrix, right, rtol=1e-8, maxiter=5000, M=linalg.LinearOperator(matrix.shape, nearby))
    return found  # an unfinished step still goes downhill; the residual tells


def _without_iron(mesh, matrix):
    """A function that nearly solves the Laplace problem on a brick mesh: exact but for the shape of the open boundary.

    On a tensor grid the problem is diagonal in the products of three one-dimensional eigenvectors (R. E. Lynch, J. R. Rice,
    D. H. Thomas, Numer. Math. 6 (1964) 185).  Other meshes get the diagonal of the matrix.
    """
    axes = [np.unique(row.round(9)) for row in mesh.p]
    if np.prod([len(axis) for axis in axes]) != mesh.p.shape[1]:
        diagonal = matrix.diagonal()
        return lambda v: v / diagonal
    order = np.lexsort(mesh.p[::-1].round(9))
    (lx, vx), (ly, vy), (lz, vz) = (_modes(axis) for axis in axes)
    inverse = 1 / (MU_0 * (lx[:, None, None] + ly[:, None] + lz))

    def solve(v):
        cube = v[order].reshape(inverse.shape)
        modal = np.einsum("ia,jb,kc,ijk->abc", vx, vy, vz, cube, optimize=True) * inverse
        result = np.empty_like(v)
        result[order] = np.einsum("ia,jb,kc,abc->ijk", vx, vy, vz, modal, optimize=True).ravel()
        return result

    return solve


def _modes(x):
    """Eigenvalues and mass-orthonormal eigenvectors of -d2/dx2 with linear elements, damped at both ends."""
    from scipy.linalg import eigh

    h = np.diff(x)
    ends = np.zeros(len(x))
    ends[[0, -1]] = 2 / np.abs(x[[0, -1]])
    stiffness = np.diag(np.r_[1 / h, 0] + np.r_[0, 1 / h] + ends) - np.diag(1 / h, 1) - np.diag(1 / h, -1)
    mass = np.diag(np.r_[h, 0] / 3 + np.r_[0, h] / 3) + np.diag(h / 6, 1) + np.diag(h / 6, -1)
    return eigh(stiffness, mass)


class _System:
    """Residual and tangent of the discrete problem."""

    def __init__(self, mesh, bodies, applied, axisymmetric: bool):
        skfem = _skfem()
        element = {"MeshQuad1": skfem.ElementQuad2, "MeshHex1": skfem.ElementHex1}[type(mesh).__name__]()
        self.axisymmetric, self.bodies = axisymmetric, bodies
        basis = skfem.Basis(mesh, element, intorder=4)
        self.size = basis.N
        self.stiffness = MU_0 * (_stiffness(axisymmetric).assemble(basis) + self._open(mesh, element, basis))
        self.bases = [basis.with_elements(body.elements) for body in bodies]
        self.fields = [_gradient_part(b, applied, axisymmetric) for b in self.bases]

    def _open(self, mesh, element, basis):
        """The dipole condition on the outer boundary (not on the axis)."""
        skfem = _skfem()
        facets = mesh.boundary_facets()
        if self.axisymmetric:
            facets = facets[mesh.p[0, mesh.facets[:, facets]].max(axis=0) > 1e-9]
        outside = skfem.FacetBasis(mesh, element, facets=facets, intorder=4)
        return _dipole_condition(self.axisymmetric).assemble(outside)

    def residual(self, phi):
        return self.linearised(phi, tangent=False)[0]

    def linearised(self, phi, tangent=True):
        residual, matrix = self.stiffness @ phi, self.stiffness
        for body, basis, applied in zip(self.bodies, self.bases, self.fields):
            h = applied - basis.interpolate(phi).grad
            j, slope = _polarized(body.curve, h)
            residual = residual - _load(self.axisymmetric).assemble(basis, j=j)
            if tangent:
                matrix = matrix + _tangent(self.axisymmetric).assemble(basis, **slope)
        return residual, matrix

    def means(self, phi):
        """Means over each element of J and B, and the elements' volumes, by body."""
        polarization, flux, volume = {}, {}, {}
        for body, basis, applied in zip(self.bodies, self.bases, self.fields):
            h = applied - np.asarray(basis.interpolate(phi).grad)
            j, _ = _polarized(body.curve, h)
            weight = basis.dx * (2 * np.pi * basis.global_coordinates()[0] if self.axisymmetric else 1.0)
            mean = lambda v: (np.sum(v * weight, axis=2) / np.sum(weight, axis=1)).T
            polarization[body.name], flux[body.name] = mean(j), mean(j + MU_0 * h)
            volume[body.name] = np.sum(weight, axis=1)
        return polarization, flux, volume


def _polarized(curve: Curve, h):
    """J (dim,E,Q) T at H, and the two numbers that make its derivative: J/|H| across H, dJ/d|H| along it."""
    size = np.sqrt(np.sum(np.square(h), axis=0))
    j, slope = curve.polarization(size)
    small = size < 1e-9
    across = np.where(small, curve.polarization(np.zeros(1))[1], j / np.where(small, 1.0, size))
    unit = h / np.where(small, 1.0, size)
    return across * h, {"across": across, "along": np.where(small, across, slope), "unit": unit}


def _gradient_part(basis, applied, axisymmetric: bool):
    """H0 (dim,E,Q) A/m as the gradient, on the body, of the element functions that comes nearest to the exact field."""
    points = np.asarray(basis.global_coordinates())
    exact = applied(points.reshape(len(points), -1).T).T.reshape(points.shape) / MU_0
    matrix = _stiffness(axisymmetric).assemble(basis)
    right = _load(axisymmetric).assemble(basis, j=exact)
    used = np.unique(basis.element_dofs)
    potential = np.zeros(basis.N)  # known up to a constant in each body: the first step of every solver leaves that at zero
    potential[used] = _consistent(matrix[used][:, used], right[used])
    return np.asarray(basis.interpolate(potential).grad)


def _consistent(matrix, right):
    """A solution of a singular but consistent system."""
    from scipy.sparse import diags, linalg

    scaling = diags(1 / np.sqrt(matrix.diagonal()))
    found, failed = linalg.cg(scaling @ matrix @ scaling, scaling @ right, rtol=1e-12, maxiter=20_000)
    if failed:
        raise RuntimeError("the source's field could not be put on the iron's mesh; refine the mesh or check the source")
    return scaling @ found


# ---- the forms --------------------------------------------------------------------------------------


def _weight(w, axisymmetric: bool):
    return 2 * np.pi * w.x[0] if axisymmetric else 1.0


def _stiffness(axisymmetric: bool):
    return _skfem().BilinearForm(lambda u, v, w: _dot(u.grad, v.grad) * _weight(w, axisymmetric))


def _dipole_condition(axisymmetric: bool):
    return _skfem().BilinearForm(lambda u, v, w: 2 * _dot(w.x, w.n) / _dot(w.x, w.x) * u * v * _weight(w, axisymmetric))


def _load(axisymmetric: bool):
    return _skfem().LinearForm(lambda v, w: _dot(w["j"], v.grad) * _weight(w, axisymmetric))


def _tangent(axisymmetric: bool):
    def form(u, v, w):
        along = _dot(w["unit"], u.grad) * _dot(w["unit"], v.grad)
        return (w["across"] * (_dot(u.grad, v.grad) - along) + w["along"] * along) * _weight(w, axisymmetric)

    return _skfem().BilinearForm(form)


def _dot(a, b):
    return sum(p * q for p, q in zip(a, b))


# ---- the field outside ------------------------------------------------------------------------------


def iron_source(found: Magnetised):
    """The iron as a source: per element of a brick mesh a magnet, per element of a meridian mesh the sheets of current
    round its edges, which a uniform polarization amounts to.  Exact for the polarization found, near the iron too."""
    parts = [_rings(found, body) if found.axisymmetric else _bricks(found, body) for body in found.bodies]
    return Assembly(parts)


def _bricks(found: Magnetised, body: Body) -> Magnets:
    corners = found.mesh.p[:, found.mesh.t[:, body.elements]]
    low, high = corners.min(axis=1).T, corners.max(axis=1).T
    return Magnets((low + high) / 2, high - low, np.zeros_like(low), found.polarization[body.name])


def _rings(found: Magnetised, body: Body, order: int = 3) -> Loops:
    """Gauss loops on the edges: K = M x n, n outward, so along an edge of length L the current is (M x n) L."""
    corners = found.mesh.p[:, found.mesh.t[:, body.elements]]  # (2, 4, E), in turn
    turn = np.sign(_doubled_area(corners))
    after = np.roll(corners, -1, axis=1)
    edge = (after - corners) * turn
    magnetization = found.polarization[body.name].T[:, None] / MU_0
    current = magnetization[0] * edge[0] + magnetization[1] * edge[1]  # M . edge: azimuthal part of M x n, times L
    t, w = np.polynomial.legendre.leggauss(order)
    place = corners[..., None] + (after - corners)[..., None] * (1 + t) / 2
    radius, height = (p.ravel() for p in place)
    amperes = (current[..., None] * w / 2).ravel()
    used = radius > 1e-9
    centre = np.zeros((used.sum(), 3))
    centre[:, 2] = height[used]
    return Loops(centre, np.tile([0.0, 0.0, 1.0], (used.sum(), 1)), radius[used], amperes[used])


def _doubled_area(corners):
    x, y = corners
    return np.sum(x * np.roll(y, -1, axis=0) - y * np.roll(x, -1, axis=0), axis=0)


# ---- plates of a site ------------------------------------------------------------------------------


@dataclass(frozen=True)
class PlateFinding:
    """A plate's largest and mean |B| (T) over its elements, the knee of its steel, the share of its volume beyond it."""

    name: str
    peak: float
    mean: float
    knee: float
    saturated_share: float

    @property
    def saturated(self) -> bool:
        return self.saturated_share > 0


@dataclass(frozen=True)
class ShieldedSource:
    """The source together with its plates, these alone (one part each), what they carry, and how they were computed."""

    source: Assembly
    iron: Assembly
    plates: tuple[PlateFinding, ...]
    method: str
    record: dict


def plates_in_field(source, site, curve: Curve | None = None, cells: int = 16, through: int = 2) -> ShieldedSource:
    """The plates of a site magnetised by the source, and both together as one source.

    Bricks: `cells` along a plate's longer sides, `through` across its thickness, growing outside to 4 times the
    farthest corner.  The plates do not act back on the source's own currents.
    """
    steel = curve or low_carbon()
    boxes = [np.array([[*p.outline.min(axis=0), p.bottom], [*p.outline.max(axis=0), p.top]]) for p in site.plates]
    mesh, bodies = brick_mesh(boxes, [p.name for p in site.plates], steel, cells, through)
    applied = lambda points: field(source, site.points(points)) @ site.directions.T
    found = magnetise(mesh, bodies, applied)
    plates = tuple(_plate_finding(found, body) for body in bodies)
    iron = _in_space(iron_source(found), site)
    return ShieldedSource(
        Assembly([source, iron]), iron, plates,
        f"{steel.name}; nonlinear finite elements, {mesh.t.shape[1]} bricks, reduced scalar potential, open boundary",
        {"newton_residuals": list(found.residuals), "converged": found.converged, "elements": int(mesh.t.shape[1])},
    )  # fmt: skip


def _in_space(iron: Assembly, site):
    """From (across, along, height) to the coordinates of the source; a left-handed frame turns boxes into like boxes."""
    from scipy.spatial.transform import Rotation

    frame = site.directions.copy()
    mirror = np.linalg.det(frame) < 0
    if mirror:
        frame[0] *= -1  # bricks look the same from the other side
    turn = Rotation.from_matrix(frame.T).as_rotvec()
    sign = np.array([-1.0, 1.0, 1.0]) if mirror else np.ones(3)
    return Assembly([
        Magnets(np.asarray(m.centre) @ site.directions, m.size, np.tile(turn, (len(m.centre), 1)), np.asarray(m.polarization) * sign)
        for m in iron.parts
    ])  # fmt: skip


def _plate_finding(found: Magnetised, body: Body) -> PlateFinding:
    size = np.linalg.norm(found.flux_density[body.name], axis=1)
    volume = found.volume[body.name]
    knee = body.curve.knee
    share = float(volume[size > knee].sum() / volume.sum())
    return PlateFinding(body.name, float(size.max()), float(size @ volume / volume.sum()), knee, share)


def brick_mesh(boxes, names, curve: Curve, cells: int, through: int):
    """A graded brick mesh whose planes hold the faces of all boxes (2,3) m; the bodies are the elements within each."""
    reach = 4 * float(np.abs(boxes).max())
    axes = [_graded(sorted({*(b[0, k] for b in boxes), *(b[1, k] for b in boxes)}), boxes, k, cells, through, reach) for k in range(3)]
    mesh = _skfem().MeshHex.init_tensor(*axes)
    middle = mesh.p[:, mesh.t].mean(axis=1).T
    inside = [np.flatnonzero(np.all((middle > b[0]) & (middle < b[1]), axis=1)) for b in boxes]
    return mesh, [Body(name, elements, curve) for name, elements in zip(names, inside)]


def _graded(planes, boxes, axis: int, cells: int, through: int, reach: float) -> np.ndarray:
    """Coordinates along one axis: fine within the boxes, growing between and beyond them."""
    steps = {}
    for low, high in zip(planes, planes[1:]):
        spans = [b[1] - b[0] for b in boxes if b[0, axis] <= low and high <= b[1, axis]]
        thin = [span[axis] / (through if span[axis] < span.max() / 4 else cells) for span in spans]
        steps[low, high] = min(thin) if thin else None
    inner = [np.linspace(low, high, max(1, round((high - low) / s)) + 1) if s else None for (low, high), s in steps.items()]
    finest = lambda k: np.diff(inner[k])[0] if 0 <= k < len(inner) and inner[k] is not None else np.inf
    pieces = [p if p is not None else _bridge(*pair, finest(k - 1), finest(k + 1)) for k, (pair, p) in enumerate(zip(steps, inner))]
    below = planes[0] - _growing(finest(0), reach + planes[0])[::-1]
    above = planes[-1] + _growing(finest(len(inner) - 1), reach - planes[-1])
    return np.unique(np.concatenate([below, *pieces, above]).round(9))


def _growing(first: float, length: float, ratio: float = 1.6) -> np.ndarray:
    """0, first, first (1 + ratio) ... up to `length`."""
    count = max(2, int(np.ceil(np.log(1 + length * (ratio - 1) / first) / np.log(ratio))))
    places = np.concatenate([[0.0], np.cumsum(first * ratio ** np.arange(count))])
    return places * length / places[-1]


def _bridge(low, high, before, after) -> np.ndarray:
    """From both ends of a gap the steps grow towards its middle."""
    half = (high - low) / 2
    left, right = low + _growing(min(before, half), half), high - _growing(min(after, half), half)
    return np.unique(np.concatenate([left, right]))
