"""Wires from stream functions: level lines, spacing, joining, solids and grooves."""
