"""Encoders out: loaded in Python, or written for programs that do not have this one."""
