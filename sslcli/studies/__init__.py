"""A study: related trainings, each done once, then pictures, the page and the comparison."""
