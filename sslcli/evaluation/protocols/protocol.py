"""What a protocol is: all that the rest of the program knows about one. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """A way to measure an encoder, for the options, the tables, the page, the pictures and the checks.

    `key` is what a record calls it. `name` stands in a sentence, `help` in `ssl probe --help`. `meaning` says what the accuracy
    tells, `limits` what it cannot. `experiment` is the folder of its runs, below runs/, and `command` what makes them.
    `by_steps`: it trains by steps, so that it has epochs, curves, and checkpoints to go on from. `frozen`: the encoder stays as
    it was. `classifies`: its classifier says the class of any picture. `probabilities`: its outputs are probabilities, so that
    likelihood and calibration mean something.
    """

    key: str
    name: str
    meaning: str
    limits: str = ""
    help: str = ""
    experiment: str = "linear_eval"
    command: str = "probe"
    by_steps: bool = False
    frozen: bool = True
    classifies: bool = True
    probabilities: bool = True
