"""What can be asked of a design; one family per file, each function returning a Quantity."""
