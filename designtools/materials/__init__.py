"""What conductors are made of: critical surfaces, resistivity, heat capacity; every fit with its source and its range."""
