"""Plans: options settled on this machine and these data, and the training that follows from them."""
