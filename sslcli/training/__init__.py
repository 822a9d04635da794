"""Training in general: the loop, optimizers, devices, signals, logs. Knows no method and no data set."""
