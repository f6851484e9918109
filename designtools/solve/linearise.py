"""From a Problem to matrices: the free coefficients as one vector x, each quantity as offset + matrix @ x."""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from scipy import sparse

from designtools.problem import Problem, Quantity


@dataclass(frozen=True)
class Variables:
    """The free part of a problem: start (n,), bounds (n,), all leaves of the design, which of them x enters, and how.

    `rebuild(x, leaves) -> Design` is differentiable; leaves are passed so that compiled code does not
    swallow them as constants.
    """

    start: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    free: tuple
    leaves: list
    places: tuple[int, ...]
    assemble: object

    def rebuild(self, x, leaves=None):
        return self.assemble(x, self.leaves if leaves is None else leaves)


@dataclass(frozen=True)
class Affine:
    """Value (m,) at x is offset + matrix @ x; `shape` is that of the quantity."""

    offset: np.ndarray
    matrix: np.ndarray
    shape: tuple[int, ...]


class NotAffine(ValueError):
    """A quantity is not affine in what is free, so the problem is not the convex one it claims to be."""


def variables(problem: Problem) -> Variables:
    """Flatten everything free in `problem` into one vector."""
    leaves, tree = jax.tree_util.tree_flatten(problem.start)
    marked = jax.tree_util.tree_unflatten(tree, [_Mark(i) for i in range(len(leaves))])
    slots = [_slot(free, marked, leaves) for free in problem.free]
    splits = np.cumsum([slot.size for slot in slots])[:-1]

    def assemble(x, leaves):
        changed = list(leaves)
        for slot, part in zip(slots, jnp.split(jnp.asarray(x), splits)):
            changed[slot.index] = slot.place(part, leaves[slot.index])
        return jax.tree_util.tree_unflatten(tree, changed)

    gather = lambda name: np.concatenate([getattr(slot, name) for slot in slots])
    return Variables(gather("start"), gather("lower"), gather("upper"), problem.free, leaves, tuple(slot.index for slot in slots), assemble)


def affine(quantity: Quantity, variables: Variables, seed: int = 0) -> Affine:
    """Matrix form of a quantity, by forward or reverse derivatives, whichever is fewer; verified to be affine.

    Raises NotAffine naming the quantity where it is not.
    """
    value, jacobian = _at_start(quantity, variables)
    offset = value.ravel() - jacobian @ variables.start
    _verify_affine(quantity, variables, offset, jacobian, seed)
    return Affine(offset, jacobian, value.shape)


def _at_start(quantity: Quantity, variables: Variables):
    """Value and Jacobian at the start: in closed form where the quantity knows it, else by JAX."""
    design = variables.rebuild(variables.start)
    known = quantity.jacobian(design) if quantity.jacobian else None
    if known is None:
        return differentiated(quantity, variables)(variables.start)
    value = np.asarray(quantity.of(design))
    blocks = [_in_basis(free, _leaf_or_none(free, known), value.size) for free in variables.free]
    return value, np.concatenate(blocks, axis=1)


def _leaf_or_none(free, known):
    try:
        return free.where(known)
    except (KeyError, AttributeError):
        return None  # the quantity does not depend on this part


def _in_basis(free, block, rows: int) -> np.ndarray:
    """Jacobian (rows, K) with respect to the coefficients of one Free."""
    if block is None:
        return np.zeros((rows, free.basis.shape[1]))
    product = block if free.basis is None else block @ free.basis
    return product.toarray() if sparse.issparse(product) else np.asarray(product)


def differentiated(quantity: Quantity, variables: Variables):
    """A compiled function x -> (value in its own shape, Jacobian (m,n)); forward or reverse, whichever is less work."""
    moving = [i for i, leaf in enumerate(variables.leaves) if np.issubdtype(np.asarray(leaf).dtype, np.floating)]

    def raw(x, numbers):  # meshes keep their integer connectivity concrete
        leaves = list(variables.leaves)
        for i, number in zip(moving, numbers):
            leaves[i] = number
        return quantity.of(variables.rebuild(x, leaves))

    numbers = [jnp.asarray(variables.leaves[i]) for i in moving]
    shape = jax.eval_shape(raw, variables.start, numbers).shape
    flat = lambda x, leaves: jnp.ravel(raw(x, leaves))
    mode = jax.jacrev if np.prod(shape) < variables.start.size else jax.jacfwd
    compiled = jax.jit(lambda x, leaves: (flat(x, leaves), mode(flat)(x, leaves)))

    def evaluate(x):
        value, jacobian = compiled(jnp.asarray(x), numbers)
        return np.asarray(value).reshape(shape), np.asarray(jacobian)

    return evaluate


class _Mark:
    def __init__(self, index):
        self.index = index


@dataclass(frozen=True)
class _Slot:
    index: int
    size: int
    start: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    place: object


def _slot(free, marked, leaves) -> _Slot:
    mark = free.where(marked)
    if not isinstance(mark, _Mark):
        raise ValueError(f"Free '{free.name}': `where` must return one leaf of the design, got {type(mark).__name__}")
    leaf = np.asarray(leaves[mark.index], dtype=float)
    if free.basis is None:
        start, place = leaf.ravel(), lambda part, leaf: part.reshape(leaf.shape)
    else:
        basis = _as_operator(free.basis)
        start, place = np.zeros(free.basis.shape[1]), lambda part, leaf: leaf + basis(part)
    bound = lambda value: np.broadcast_to(np.asarray(value, float), leaf.shape if free.basis is None else start.shape).ravel()
    return _Slot(mark.index, start.size, start, bound(free.lower), bound(free.upper), place)


def _as_operator(basis):
    """x -> basis @ x for a dense or scipy-sparse basis, traceable by JAX."""
    if not sparse.issparse(basis):
        matrix = jnp.asarray(basis)
        return lambda x: matrix @ x
    coo = basis.tocoo()
    row, col, data, rows = map(jnp.asarray, (coo.row, coo.col, coo.data, coo.shape[0]))
    return lambda x: jnp.zeros(basis.shape[0], data.dtype).at[row].add(data * x[col])


def _natural_size(quantity, variables, size: float, rng) -> float:
    """Size (unit of the quantity) off the basis, at free leaves up to `size`: one that vanishes by symmetry is rounding beside it."""
    leaves = list(variables.leaves)
    for index in variables.places:
        leaves[index] = leaves[index] + size * rng.uniform(-1, 1, np.shape(leaves[index]))
    there = quantity.of(variables.rebuild(jnp.asarray(variables.start), leaves))
    return float(np.abs(np.asarray(there) - np.asarray(quantity.of(variables.rebuild(variables.start)))).max())


def _verify_affine(quantity, variables, offset, jacobian, seed):
    """Compare with the true quantity at a far point within the bounds, in a direction that no structure prefers."""
    rng = np.random.default_rng(seed)
    reach = np.minimum(np.where(np.isfinite(variables.upper - variables.lower), variables.upper - variables.lower, 1.0), 1e3)
    x = variables.start + reach * rng.uniform(-1, 1, variables.start.size)
    true = np.ravel(np.asarray(quantity.of(variables.rebuild(jnp.asarray(x)))))
    scale = np.abs(true - offset).max() + np.abs(offset).max() + 1e-300
    error = np.abs(true - (offset + jacobian @ x)).max()
    if error > 1e-8 * scale and error > 1e-11 * _natural_size(quantity, variables, reach.max(initial=0.0), rng):
        raise NotAffine(
            f"quantity '{quantity.name}' is not affine in what is free, so solve.convex cannot hold it; "
            "fix the geometry and leave only currents, stream functions or polarizations free, "
            "or use solve.descent"
        )
