"""What the nodes of a Ray must have for a job, and for all processes of a pretraining at once: no Ray is needed."""

from types import ModuleType

import pytest

from sslcli.errors import UsageError
from sslcli.studies.ray_cluster import hold_to_resources


class Nodes(ModuleType):
    """A module `ray` that knows only its nodes: one dead, one with 4 cores and a GPU, one with 2 cores; 8 GB each."""

    def nodes(self) -> list[dict[str, object]]:
        found = [{"CPU": 64.0, "GPU": 8.0}, {"CPU": 4.0, "GPU": 1.0}, {"CPU": 2.0}]
        return [{"Alive": has["CPU"] < 64, "Resources": has | {"memory": 8.0 * 2**30}} for has in found]


@pytest.mark.parametrize(
    ("cpus", "gpus", "memory", "processes"), [(4, 1, 8, 1), (1, 0, 0, 6), (2, 0, 0, 3), (1, 0, 4, 4), (1, 1, 0, 1)]
)
def test_what_the_nodes_have_is_accepted(cpus: int, gpus: int, memory: float, processes: int) -> None:
    hold_to_resources(Nodes("ray"), cpus=cpus, gpus=gpus, memory=memory, processes=processes)


@pytest.mark.parametrize(
    ("cpus", "gpus", "memory", "processes", "most"), [(1, 0, 0, 7, 6), (2, 0, 0, 4, 3), (1, 0, 4, 5, 4), (1, 1, 0, 2, 1)]
)
def test_more_processes_than_all_nodes_have_room_for_are_refused_with_their_number(
    cpus: int, gpus: int, memory: float, processes: int, most: int
) -> None:
    with pytest.raises(
        UsageError, match=rf"processes={processes}: .*accepted is at most processes={most}; the nodes have: 4 cores"
    ):
        hold_to_resources(Nodes("ray"), cpus=cpus, gpus=gpus, memory=memory, processes=processes)


@pytest.mark.parametrize(("cpus", "gpus", "memory"), [(5, 0, 0), (1, 2, 0), (3, 0, 9), (1, 0, 8.5)])
def test_a_job_that_fits_no_living_node_is_refused(cpus: int, gpus: int, memory: float) -> None:
    with pytest.raises(UsageError, match="no node of Ray has"):
        hold_to_resources(Nodes("ray"), cpus=cpus, gpus=gpus, memory=memory)
