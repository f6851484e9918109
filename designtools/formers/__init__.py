"""Surfaces that carry current: where they are, how they unroll, how they are meshed."""
