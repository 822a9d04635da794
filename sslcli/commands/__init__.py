"""The commands, a file each: options in, text out. None imports another."""
