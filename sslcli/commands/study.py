"""ssl study: pretraining, its evaluations beside scratch, then pictures, a page to hand in, and the comparison."""

from __future__ import annotations

from sslcli.options.project_folder import open_registry
from sslcli.options.study import Study


def run(command: Study) -> None:
    """Do the missing parts of the study, then compare."""
    from sslcli.studies.study import carry_out

    carry_out(open_registry(command), command)
