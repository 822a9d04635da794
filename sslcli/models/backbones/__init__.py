"""Backbones: nets without a classifier, a family each in a file of its own."""
