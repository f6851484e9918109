"""Closed forms of the fields of elementary currents and magnets: pure functions, one shape per file."""
