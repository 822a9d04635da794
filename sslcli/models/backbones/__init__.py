"""Backbones: networks without a classifier, one file per family."""
