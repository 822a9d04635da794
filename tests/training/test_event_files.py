"""Event files of any program: the points are those that TensorBoard shows."""

import math
from pathlib import Path

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import masked_crc32c
from tensorboard.util.tensor_util import make_tensor_proto
from torch.utils.tensorboard import SummaryWriter

from sslcli.training.events import read_scalars
from sslcli.training.log import Log

Steps = list[tuple[int, float]]


def ordinary(step: int, tag: str, value: float) -> Event:
    return Event(wall_time=float(step), step=step, summary=Summary(value=[Summary.Value(tag=tag, simple_value=value)]))


def as_tensor(step: int, tag: str, value: object, *, plugin: str | None = "scalars") -> Event:
    """A scalar as newer writers have it; where `plugin` is None without what it is, as after a tag's first point."""
    metadata = SummaryMetadata(plugin_data=SummaryMetadata.PluginData(plugin_name=plugin)) if plugin else None
    found = Summary.Value(tag=tag, tensor=make_tensor_proto(value), metadata=metadata)
    return Event(wall_time=float(step), step=step, summary=Summary(value=[found]))


def start(step: int) -> Event:
    return Event(wall_time=float(step), step=step, session_log=SessionLog(status=SessionLog.START))


def write_file(folder: Path, name: str, found: list[Event], *, version: str | None = "brain.Event:2", at: float = 0) -> None:
    """An event file of this name, begun `at` this time, with these events."""
    folder.mkdir(parents=True, exist_ok=True)
    head = [Event(wall_time=at, file_version=version)] if version else [Event(wall_time=at)]
    (folder / f"tfevents.{name}").write_bytes(b"".join(record(event.SerializeToString()) for event in [*head, *found]))


def record(content: bytes) -> bytes:
    length = len(content).to_bytes(8, "little")
    return length + masked_crc32c(length).to_bytes(4, "little") + content + masked_crc32c(content).to_bytes(4, "little")


def tensorboard_has(folder: Path) -> dict[str, Steps]:
    """The finite points of each tag in TensorBoard's own reader, by step."""
    reader = EventAccumulator(str(folder), size_guidance={"scalars": 0}).Reload()
    found = {tag: [(event.step, event.value) for event in reader.Scalars(tag)] for tag in reader.Tags()["scalars"]}
    found = {tag: [(step, value) for step, value in points if math.isfinite(value)] for tag, points in found.items()}
    return {tag: sorted(points, key=lambda point: point[0]) for tag, points in found.items() if points}


def a_curve(steps: range, offset: float = 0.0, tag: str = "loss") -> list[Event]:
    return [ordinary(step, tag, step + offset) for step in steps]


LATER = 0.5  # added to what a later session writes
SESSIONS = {
    "a restart": [a_curve(range(16)), [start(10), *a_curve(range(10, 21), LATER)]],
    "a restart at a step between two": [a_curve(range(0, 30, 10)), [start(15), *a_curve(range(20, 50, 10), LATER)]],
    "a run resumed twice": [
        a_curve(range(16)), [start(10), *a_curve(range(10, 13), LATER)], [start(5), *a_curve(range(5, 9), 2 * LATER)]
    ],
    "a restart from the start": [a_curve(range(5)), [start(0), *a_curve(range(3), LATER)]],
    "a restart that wrote nothing yet": [a_curve(range(5)), [start(2)]],
    "a restart within a file": [[*a_curve(range(5)), start(3), *a_curve(range(3, 6), LATER)]],
    "a restart of many tags": [
        [*a_curve(range(9)), *a_curve(range(9), tag="acc")], [start(4), *a_curve(range(4, 6), LATER)]
    ],
    "the same step twice": [[*a_curve(range(3)), ordinary(2, "loss", 9.0)]],
    "steps out of order in one session": [[*a_curve(range(4, 8)), *a_curve(range(4), LATER)]],
    "numbers that are none": [
        [ordinary(0, "loss", math.nan), ordinary(1, "loss", 1.0), ordinary(2, "loss", math.inf), ordinary(3, "loss", -math.inf)]
    ],
    "a restart from a point that is no number": [a_curve(range(9)), [start(5), ordinary(5, "loss", math.nan)]],
    "huge steps": [[ordinary(2**62 + step, "loss", 1.0 + step) for step in range(0, 3000, 1000)]],
    "steps below zero": [[ordinary(step, "loss", 1.0) for step in range(-3, 3)]],
    "an empty tag": [[ordinary(0, "", 1.0)]],
}  # fmt: skip


def write_sessions(folder: Path, sessions: list[list[Event]]) -> None:
    for number, session in enumerate(sessions):
        write_file(folder, f"{number}", session, at=float(number))


@pytest.mark.parametrize("sessions", SESSIONS.values(), ids=list(SESSIONS))
def test_the_points_are_those_of_tensorboard(tmp_path: Path, sessions: list[list[Event]]) -> None:
    write_sessions(tmp_path, sessions)
    assert read_scalars(tmp_path).series == tensorboard_has(tmp_path) != {}


@pytest.mark.parametrize("sessions", SESSIONS.values(), ids=list(SESSIONS))
def test_tensors_are_read_as_plain_values_are(tmp_path: Path, sessions: list[list[Event]]) -> None:
    """TensorBoard's reader knows no restart in tensors, so the plain values say what is right."""
    write_sessions(tmp_path / "plain", sessions)
    write_sessions(tmp_path / "tensors", [[in_tensors(event) for event in session] for session in sessions])
    assert read_scalars(tmp_path / "tensors").series == tensorboard_has(tmp_path / "plain")


def in_tensors(event: Event) -> Event:
    """The event as newer writers have it."""
    found = [(value.tag, value.simple_value) for value in event.summary.value]
    return as_tensor(event.step, *found[0]) if found else event


TENSORS = {
    "one number in a list": ([[as_tensor(0, "a", 1.0), as_tensor(1, "a", [3.0])]], {"a": [(0, 1.0), (1, 3.0)]}),
    "what it is said in the first file alone": (
        [[as_tensor(0, "a", 1.0)], [as_tensor(1, "a", 2.0, plugin=None)]], {"a": [(0, 1.0), (1, 2.0)]}
    ),
    "beside plain values": (
        [[ordinary(0, "a", 1.0), as_tensor(1, "a", 2.0), ordinary(0, "b", 0.5)]], {"a": [(0, 1.0), (1, 2.0)], "b": [(0, 0.5)]}
    ),
    "of other kinds of number": ([[as_tensor(0, "a", np.float16(1.5)), as_tensor(0, "b", np.int64(7))]],
                                 {"a": [(0, 1.5)], "b": [(0, 7.0)]}),
}  # fmt: skip


@pytest.mark.parametrize(("sessions", "expected"), TENSORS.values(), ids=list(TENSORS))
def test_a_tensor_of_one_number_is_a_scalar(tmp_path: Path, sessions: list[list[Event]], expected: dict[str, Steps]) -> None:
    write_sessions(tmp_path, sessions)
    assert read_scalars(tmp_path).series == expected


OLD = {
    "steps that go back": [*a_curve(range(16)), *a_curve(range(10, 20), LATER)],
    "steps that go back twice": [*a_curve(range(9)), *a_curve(range(5, 7), LATER), *a_curve(range(2, 3), 2 * LATER)],
    "steps that go back of one tag": [*a_curve(range(9), tag="acc"), *a_curve(range(9)), *a_curve(range(5, 7), LATER)],
    "a session's start": [*a_curve(range(16)), start(3), *a_curve(range(10, 20), LATER)],
    "the same step twice": [*a_curve(range(3)), ordinary(2, "loss", 9.0)],
}


@pytest.mark.parametrize("version", ["brain.Event:1", None, "no version", "brain.Event:2.5"])
@pytest.mark.parametrize("session", OLD.values(), ids=list(OLD))
def test_files_of_before_sessions_are_read_by_tensorboards_older_rule(
    tmp_path: Path, session: list[Event], version: str | None
) -> None:
    write_file(tmp_path, "0", session, version=version)
    assert read_scalars(tmp_path).series == tensorboard_has(tmp_path)


def test_points_that_a_restart_took_back_are_counted(tmp_path: Path) -> None:
    write_file(tmp_path, "0", a_curve(range(16)))
    write_file(tmp_path, "1", [start(10), *a_curve(range(10, 21), LATER)], at=1)
    found = read_scalars(tmp_path)
    assert found.points == {"loss": [(s, s) for s in range(10)] + [(s, s + LATER) for s in range(10, 21)]}
    (loss,) = found.losses
    assert "6 points that a restart from an earlier step took back" in loss


def test_the_real_writers_restarts_are_read_as_tensorboard_reads_them(tmp_path: Path) -> None:
    for number, (purge_step, steps) in enumerate(((None, range(20)), (12, range(12, 15)), (7, range(7, 30)))):
        with SummaryWriter(str(tmp_path), purge_step=purge_step, filename_suffix=f".{len(steps):02d}") as writer:
            for step in steps:
                writer.add_scalar("loss", step / len(steps), step)
                writer.add_scalar("acc", step, step)
        (written,) = tmp_path.glob("events.*")
        written.rename(tmp_path / f"{number}.tfevents")
    found = read_scalars(tmp_path).series
    assert found == tensorboard_has(tmp_path)
    assert [step for step, _ in found["loss"]] == list(range(30))


def test_a_restart_that_does_not_say_so_takes_back_what_it_goes_through_again(tmp_path: Path) -> None:
    write_file(tmp_path, "0", [*a_curve(range(16)), *a_curve(range(16), tag="other")], at=100)
    write_file(tmp_path, "1", a_curve(range(10, 13), LATER), at=200)
    found = read_scalars(tmp_path)
    assert found.series["loss"] == [(s, s) for s in range(10)] + [(s, s + LATER) for s in range(10, 13)]
    assert found.series["other"] == [(s, s) for s in range(16)]
    assert any("6 points" in loss for loss in found.losses)
    write_file(tmp_path, "2", a_curve(range(4, 6), 2 * LATER), at=300)
    assert read_scalars(tmp_path).series["loss"] == [(s, s) for s in range(4)] + [(4, 5.0), (5, 6.0)]


def test_files_count_in_the_order_in_which_they_were_begun(tmp_path: Path) -> None:
    write_file(tmp_path, "b-first", a_curve(range(16)), at=100)
    write_file(tmp_path, "a-second", [start(10), *a_curve(range(10, 13), LATER)], at=200)
    assert read_scalars(tmp_path).series["loss"] == [(s, s) for s in range(10)] + [(s, s + LATER) for s in range(10, 13)]


def test_a_file_that_goes_on_where_the_last_ended_loses_nothing(tmp_path: Path) -> None:
    write_file(tmp_path, "0", a_curve(range(5)), at=100)
    write_file(tmp_path, "1", a_curve(range(5, 9)), at=200)
    assert read_scalars(tmp_path).series == {"loss": [(s, s) for s in range(9)]}
    assert not read_scalars(tmp_path).losses


def test_an_empty_file_and_a_record_cut_off_hinder_nothing(tmp_path: Path) -> None:
    write_file(tmp_path, "0", a_curve(range(16)), at=100)
    write_file(tmp_path, "1", [start(10), *a_curve(range(10, 13), LATER)], at=200)
    (tmp_path / "tfevents.2").touch()
    path = tmp_path / "tfevents.1"
    path.write_bytes(path.read_bytes()[:-5])
    found = read_scalars(tmp_path)
    assert found.series["loss"] == [(s, s) for s in range(10)] + [(10, 10 + LATER), (11, 11 + LATER)]
    assert [loss for loss in found.losses if "tfevents.2" in loss] == []
    assert any("tfevents.1: cut off or damaged" in loss for loss in found.losses)


@pytest.mark.parametrize("value", ["text", b"bytes", [1.0, 2.0], [], 1j], ids=str)
def test_a_tensor_that_is_not_one_number_is_said_and_not_drawn(tmp_path: Path, value: object) -> None:
    write_file(tmp_path, "0", [as_tensor(0, "odd", value), *a_curve(range(2))])
    found = read_scalars(tmp_path)
    assert found.series.keys() == {"loss"}
    assert any("1 points are not drawn of odd" in loss for loss in found.losses)


def test_a_histogram_is_no_scalar(tmp_path: Path) -> None:
    write_file(tmp_path, "0", [as_tensor(0, "weights", 1.0, plugin="histograms")])
    assert read_scalars(tmp_path).series == {}


def test_a_run_that_goes_on_after_its_clock_was_put_back_loses_nothing(tmp_path: Path) -> None:
    write_file(tmp_path, "2", a_curve(range(8)), at=5000)
    write_file(tmp_path, "1", [start(6), *a_curve(range(6, 12), LATER)], at=1400)
    found = read_scalars(tmp_path)
    assert found.series["loss"] == [
        *((step, float(step)) for step in range(6)),
        *((step, step + LATER) for step in range(6, 12)),
    ]
    write_file(tmp_path, "3", [start(10), *a_curve(range(10, 14))], at=6000)
    assert read_scalars(tmp_path).series["loss"][-5:] == [(9, 9 + LATER), *((step, float(step)) for step in range(10, 14))]


def test_a_run_of_ours_that_goes_on_from_a_checkpoint_has_each_step_once(tmp_path: Path) -> None:
    for begin, value in ((0, 1.0), (5, 2.0)):
        keywords = {"steps": 10, "epoch_steps": 5, "per_step": 1, "record_every": 1}
        with Log("run", events=tmp_path, start=begin, **keywords) as log:  # type: ignore[arg-type]
            for step in range(begin + 1, 9 + begin // 5):
                log.step(step, loss=value, lr=0.1)
    expected = [(step, 1.0) for step in range(1, 6)] + [(step, 2.0) for step in range(6, 10)]
    assert read_scalars(tmp_path).series["train/loss_step"] == expected
    assert tensorboard_has(tmp_path)["train/loss_step"] == expected
