"""The runs of a project: records, the index, names, and how records are checked. No torch."""
