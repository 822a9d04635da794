"""Is every run as recorded? Check files, fields and metrics against their sources."""
