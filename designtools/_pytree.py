"""One decorator: a frozen dataclass that JAX can see through."""

from __future__ import annotations

import dataclasses
from typing import Any, TypeVar, dataclass_transform

import jax
import numpy as np

from designtools import precision


T = TypeVar("T", bound=type[Any])
Leaf = Any  # a number, list, NumPy array, JAX array or tracer; what was given as numbers or lists is an array of float64


@dataclass_transform(frozen_default=True, eq_default=False)
def pytree(cls: T) -> T:
    """Make `cls` a frozen dataclass and a JAX pytree.

    Fields declared with ``dataclasses.field(metadata={"static": True})`` are settings
    (compared by value, never traced); all others are leaves.  Lists and Python numbers given
    to the constructor become float64 arrays; arrays and tracers pass as they are.  A class
    may define ``check(self)``; it runs on what a person constructs, never on what JAX rebuilds.
    """
    def post_init(self):
        precision.require(cls.__name__)
        for name in leaves:
            value = getattr(self, name)
            if isinstance(value, (list, tuple, float, int, np.ndarray)) and not _holds_trees(value):
                object.__setattr__(self, name, _as_array(value))
        if hasattr(self, "check"):
            self.check()

    cls.__post_init__ = post_init  # before dataclass(), which calls it only if it is there
    cls = dataclasses.dataclass(frozen=True, eq=False)(cls)
    fields = dataclasses.fields(cls)
    leaves = tuple(f.name for f in fields if not f.metadata.get("static"))
    static = tuple(f.name for f in fields if f.metadata.get("static"))

    def flatten_with_keys(self):
        children = [(jax.tree_util.GetAttrKey(n), getattr(self, n)) for n in leaves]
        return children, tuple(getattr(self, n) for n in static)

    def unflatten(settings, children):
        self = object.__new__(cls)
        for name, value in (*zip(leaves, children), *zip(static, settings)):
            object.__setattr__(self, name, value)
        return self

    jax.tree_util.register_pytree_with_keys(cls, flatten_with_keys, unflatten)
    return cls


def _holds_trees(value) -> bool:
    return isinstance(value, (list, tuple)) and any(dataclasses.is_dataclass(item) for item in value)


def _as_array(value):
    try:
        array = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError, jax.errors.TracerArrayConversionError):
        return jax.numpy.asarray(value)  # a list that holds tracers
    return array
