"""Encoders for use elsewhere: loaded in Python, or written for other programs."""
