"""From a Problem to a Solution: `convex` (global, certified) and `descent` (local, any geometry)."""
