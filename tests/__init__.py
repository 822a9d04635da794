"""Tests. Two workers share the machine, so numpy's and scikit-learn's libraries, too, compute on one thread: as they load."""

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
