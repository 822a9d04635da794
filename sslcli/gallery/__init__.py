"""Pictures of runs and of their data: a registry in, files out."""
