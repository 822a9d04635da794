"""What a training costs here, and what fits into so many minutes."""
