"""A study: trainings that belong together, done once each, then pictures, the page and the comparison."""
