"""Data sets by name, in a file each."""
