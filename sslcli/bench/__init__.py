"""The cost of a training here, and what fits into a number of minutes."""
