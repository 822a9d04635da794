"""Figures: arrays in, a matplotlib figure out. Knows no run and no command."""
