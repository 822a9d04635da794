"""Is every run as recorded? Files, fields and figures held to what proves them."""
