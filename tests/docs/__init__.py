"""The pages in docs/: what makes them, and the commands on them as tests type them."""
