"""The commands, one file each: options in, text out. No command imports another."""
