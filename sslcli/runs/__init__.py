"""The runs of a project: records, the index, names, and what proves them. No torch."""
