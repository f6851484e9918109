"""Fast sums of 1/|r - r'| on an octree: multipoles go up, across and down.

After Greengard & Rokhlin, J. Comput. Phys. 73 (1987) 325.
Boxes of one level are equal cubes with integer coordinates; only occupied ones are kept.  Boxes within WIDE = 2 of each
other are neighbours; a box exchanges multipoles with the children of its parent's neighbours that are not its own:
two empty boxes then lie between them, and series to order p leave out about 0.35^p (one box: 0.65^p, so that equal
errors would need twice the order and four times the work).  Expansions are real vectors of (p+1)^2 numbers, the parts
of the scaled harmonics of `kernels.solid` in units of the box; one matrix per offset, and its mirror images by signs,
serves all levels, and the work is matrix products.
"""

from __future__ import annotations

import itertools

import numpy as np

from designtools.kernels import solid

WIDE = 2  # boxes of a neighbourhood on each side


def boxes_of(points, corner, size):
    """Integer coordinates (P,3) of the boxes of `size` m that hold points (P,3) m, counted from `corner`."""
    return np.floor((points - corner) / size).astype(np.int64)


def keys_of(boxes):
    """One integer per box (..., 3), that of no box inside where a coordinate is below -8."""
    shifted = boxes + 8
    return (shifted[..., 0] << 42) | (shifted[..., 1] << 21) | shifted[..., 2]


def group(points, corner, size):
    """Occupied boxes (B,3) in the order of their keys, and the box (P,) of each point."""
    boxes = boxes_of(points, corner, size)
    keys, first, member = np.unique(keys_of(boxes), return_index=True, return_inverse=True)
    return boxes[first], member.reshape(-1)


def find(sorted_keys, keys):
    """Places of `keys` in `sorted_keys`, -1 where absent."""
    place = np.minimum(np.searchsorted(sorted_keys, keys), len(sorted_keys) - 1)
    return np.where(sorted_keys[place] == keys, place, -1)


def neighbour_pairs(targets, sources):
    """(target, source) index pairs (N,2) of boxes within WIDE of each other."""
    keys, found = keys_of(sources), []
    for offset in itertools.product(range(-WIDE, WIDE + 1), repeat=3):
        place = find(keys, keys_of(targets + np.array(offset)))
        hit = np.flatnonzero(place >= 0)
        found.append(np.stack([hit, place[hit]], axis=1))
    return np.concatenate(found)


def far_field(source_levels, target_levels, moments, order: int, size: float):
    """Local expansions (boxes, K, (order+1)^2) of the finest target boxes, of all but the neighbouring sources.

    source_levels, target_levels: boxes (B,3) per level from the finest to the coarsest; moments (B, K, (order+1)^2) of
    the finest source boxes in units of their `size` m.  Local coefficients multiply the regular harmonics.
    """
    up, across = child_matrices(order), interaction_matrices(order)
    stack = [moments]
    for fine, coarse in itertools.pairwise(source_levels):
        stack.append(_to_parents(stack[-1], fine, coarse, up))
    local = None
    for level in range(len(source_levels) - 1, -1, -1):
        targets = target_levels[level]
        own = _across(stack[level], source_levels[level], targets, across) / (size * 2**level)
        local = own if local is None else own + _to_children(local, target_levels[level + 1], targets, up)
    return local


def _to_parents(moments, fine, coarse, up):
    parent = find(keys_of(coarse), keys_of(fine >> 1))
    out = np.zeros((len(coarse), *moments.shape[1:]))
    for child, matrix in up.items():
        some = np.flatnonzero(np.all((fine & 1) == child, axis=1))
        out[parent[some]] += _apply(matrix, moments[some])  # a parent has one such child at most
    return out


def _to_children(local, coarse, fine, up):
    parent = find(keys_of(coarse), keys_of(fine >> 1))
    out = np.zeros((len(fine), *local.shape[1:]))
    for child, matrix in up.items():
        some = np.flatnonzero(np.all((fine & 1) == child, axis=1))
        out[some] = _apply(matrix.T, local[parent[some]])
    return out


def _across(moments, sources, targets, across):
    """Multipoles of the boxes that are not neighbours, but whose parents are."""
    keys, signs = keys_of(sources), mirrors(moments.shape[-1])
    out = np.zeros((len(targets), *moments.shape[1:]))
    for offset, matrix in across.items():
        hits = [(sign, *_partners(keys, targets, np.array(offset) * mirror)) for mirror, sign in signs
                if not any(o == 0 and f < 0 for o, f in zip(offset, mirror))]  # fmt: skip
        hits = [hit for hit in hits if len(hit[1])]
        if hits:
            mixed = _apply(matrix, np.concatenate([moments[source] * sign for sign, _, source in hits]))
            for part, (sign, target, _) in zip(np.split(mixed, np.cumsum([len(h[1]) for h in hits])[:-1]), hits):
                out[target] += part * sign
    return out


def _partners(keys, targets, offset):
    """(target, source) indices of boxes `offset` apart whose parents are neighbours."""
    source = targets + offset
    near = np.flatnonzero(np.all(np.abs((source >> 1) - (targets >> 1)) <= WIDE, axis=1))
    place = find(keys, keys_of(source[near]))
    return near[place >= 0], place[place >= 0]


def mirrors(size):
    """The eight reflections of the axes (3,) and the signs (size,) that they give to packed harmonics."""
    order = round(np.sqrt(size)) - 1
    n, m = np.tril_indices(order + 1)
    n, imag = np.concatenate([n, n[m > 0]]), np.concatenate([0 * m, m[m > 0] > 0])
    m = np.concatenate([m, m[m > 0]])
    flips = (-1.0) ** (m + imag), (-1.0) ** imag, (-1.0) ** (n + m)  # of x, y, z
    signed = lambda mirror: np.prod([flip for flip, side in zip(flips, mirror) if side < 0], axis=0)
    return [(np.array(mirror), signed(mirror) * np.ones(size)) for mirror in itertools.product((1, -1), repeat=3)]


def _apply(matrix, vectors):
    """matrix times vectors (B, K, n), as one product."""
    return (vectors.reshape(-1, vectors.shape[-1]) @ matrix.T).reshape(vectors.shape)


def pack(table):
    """Complex (..., p+1, p+1) to real (..., (p+1)^2): real parts for m >= 0, then imaginary parts for m > 0."""
    n, m = np.tril_indices(table.shape[-1])
    return np.concatenate([table[..., n, m].real, table[..., n[m > 0], m[m > 0]].imag], axis=-1)


def unpack(vector, order):
    """The inverse of `pack`."""
    n, m = np.tril_indices(order + 1)
    table = np.zeros((*vector.shape[:-1], order + 1, order + 1), complex)
    table[..., n, m] = vector[..., : len(n)]
    table[..., n[m > 0], m[m > 0]] += 1j * vector[..., len(n) :]
    return table


def child_matrices(order):
    """T with R(x_parent) = T R(x_child), each in units of its own box, by the parity (3,) of the child."""
    points = np.random.default_rng(0).normal(size=(3 * (order + 1) ** 2, 3))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    points *= np.linspace(0.4, 1.0, len(points))[:, None]
    scale = 1 / np.sqrt(np.mean(regular(points, order) ** 2, axis=0))
    inverse = np.linalg.pinv(regular(points, order) * scale)
    shift = lambda child: (points + np.array(child) - 0.5) / 2
    return {
        child: (scale[:, None] * (inverse @ regular(shift(child), order))).T
        for child in itertools.product((0, 1), repeat=3)
    }


def regular(points, order):
    """Packed regular harmonics (P, (order+1)^2) at points (P,3)."""
    return pack(np.asarray(solid.table(points, order, True)))


def slope_matrices(order):
    """D (3, (order+1)^2, (order+1)^2) with dR/dx_k = D_k R for the packed regular harmonics R."""
    size = (order + 1) ** 2
    basis = unpack(np.eye(size), order)
    return np.stack([pack(np.asarray(solid.slopes(basis, axis, regular=True))).T for axis in range(3)])


def interaction_matrices(order):
    """From packed moments at `offset` boxes away to packed local coefficients, for separated offsets with x, y, z >= 0.

    S_nm(a - b) = sum_kl conj(R_kl(b)) S_{n+k,m+l}(a) with a from the target's centre to the source's and -b within it.
    """
    offsets = [o for o in itertools.product(range(2 * WIDE + 2), repeat=3) if max(o) > WIDE]
    table = _both_signs(np.asarray(solid.table(np.array(offsets, float), 2 * order, False)))
    n, m = np.tril_indices(order + 1)
    k, l = n[None], m[None]
    rows = n[:, None] + k, m[:, None] + l + 2 * order, m[:, None] - l + 2 * order
    sign, mirror = (-1.0) ** k, (-1.0) ** l
    plus, minus = table[:, rows[0], rows[1]] * sign, np.where(l > 0, mirror, 0.0) * table[:, rows[0], rows[2]] * sign
    by_real, by_imag = plus + minus, (-1j * (plus - minus))[:, :, m > 0]
    weight = np.where(m > 0, 2.0, 1.0)[:, None]
    columns = np.concatenate([by_real, by_imag], axis=2) * weight
    matrices = np.concatenate([columns.real, columns.imag[:, m > 0]], axis=1)
    return dict(zip(offsets, matrices))


def _both_signs(table):
    """Entries for m = -N..N from those for m = 0..N."""
    mirror = (-1.0) ** np.arange(table.shape[-1])
    return np.concatenate([(mirror * table.conj())[..., :0:-1], table], axis=-1)
