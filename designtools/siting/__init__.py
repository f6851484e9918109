"""Where a magnet can stand: lines of equal field, faults, vendors' tables, rooms with their zones, shields of iron."""
