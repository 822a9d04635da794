"""Measuring an encoder."""
