"""How true a classifier's confidence is on the test images, before and after its temperature."""

from __future__ import annotations

import numpy as np

from sslcli.console.messages import say
from sslcli.evaluation.quality import quality
from sslcli.evaluation.test_logits import FILE, read_kept
from sslcli.figures.canvas import save_picture
from sslcli.figures.quality import Judged, draw_reliability
from sslcli.paths import relative
from sslcli.runs.registry import Registry
from sslcli.runs.run import Run


def save_calibration(registry: Registry, record: Run, *, temperature: float, validated: int) -> str:
    """Draw the reliability of a run's saved test logits at temperature 1 and at the chosen one; returns both errors in words.

    `validated` is the number of validation images that chose it. The test images chose nothing.
    """
    kept = read_kept(registry.path(f"{record.folder}/{FILE}"))
    before, after = (quality(kept.logits / np.float32(divisor), kept.labels) for divisor in (1, temperature))
    chosen = f"temperature {temperature:.3g}, chosen on {validated:,} validation images"
    figure = draw_reliability(
        [Judged("before, temperature 1", before), Judged(f"after, temperature {temperature:.3g}", after, look=1)],
        title="Is the confidence true?", subtitle=f"{len(kept.labels):,} test images; {chosen}\n{record.id}",
    )  # fmt: skip
    path = registry.path("results/predictions/calibration.png")
    save_picture(figure, path, description=f"Run: {record.id}")
    say(f"wrote {relative(path)}")
    errors = f"from {100 * before.ece:.1f} to {100 * after.ece:.1f} points"
    return f"calibration error on {len(kept.labels):,} test images: {errors} with {chosen}"
