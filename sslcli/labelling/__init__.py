"""Labels of a person's own pictures: predicted, wanted next, and perhaps wrong."""
