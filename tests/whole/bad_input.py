"""A thousand bad files and options for the commands, in a process of its own that never imports torch.

Run by test_bad_input.py. Each case must end with exit code 0, 2 or 3, without a traceback, and leave every file as it was.
"""

import contextlib
import io
import os
import shlex
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sslcli import cli
from sslcli.entry import Entry
from sslcli.options.command import Command
from sslcli.runs.registry import Registry
from tests.measuring import processor_time

TAKEN: list[tuple[float, str]] = []
"""Seconds that each case computed, and its command line."""
SLOWEST = 3_000
"""Times as long as the middle one, at most: a file that a reader chokes on takes far longer. The first plot takes 400."""
SETTINGS = {
    "derandomize": True, "database": None,
    "suppress_health_check": [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
}  # fmt: skip


COMPUTING = (
    "pretrain", "probe", "finetune", "bench", "study", "resume", "predict", "views", "map", "embed", "neighbours", "report",
    "export", "suggest",
)  # fmt: skip


class OnlyRecorded(Entry):
    """A command that computes nothing: its options can be recorded."""

    def run(self, command: Command) -> None:
        command.options()


def compute_nothing() -> None:
    """Of a command that computes see only that its options can be recorded."""
    for table, names in ((cli.COMMANDS, COMPUTING), (cli.DATA_COMMANDS, ("check",))):
        table |= {name: OnlyRecorded(**vars(table[name])) for name in names}


def answer(line: list[str]) -> None:
    """Type a command; what it does to the person and to the files must be as the design says."""
    before = {path: path.read_bytes() for path in Path.cwd().rglob("*") if path.is_file()}
    out, err = io.StringIO(), io.StringIO()
    code: Any = 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        began = processor_time()
        try:
            cli.main(line)
        except SystemExit as stopped:
            code = stopped.code
        TAKEN.append((processor_time() - began, shlex.join(line)))
    said = f"{shlex.join(line)!r} ended with {code!r}:\n{err.getvalue()[-2000:]}"
    assert code in (0, 2, 3, None), said
    assert "Traceback" not in err.getvalue(), said
    after = {path: path.read_bytes() for path in Path.cwd().rglob("*") if path.is_file()}
    assert {p: c for p, c in after.items() if p.name != ".lock"} == {p: c for p, c in before.items() if p.name != ".lock"}, said


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=8,
)
foreign = st.one_of(
    st.binary(max_size=300),
    st.text(max_size=300).map(lambda text: text.encode("utf-8", "surrogatepass")),
    plain.map(lambda value: repr(value).encode("utf-8", "surrogatepass")),
    st.sampled_from([
        b"!!python/object/apply:os.system [touch ran]", b"&a [*a]", b"a: &a {b: *a}", b"[" * 2000, b"{" * 2000, b"\xff\xfe\x00",
        b"runs: {a: 1}", b"runs:\n- 3", b"- {}", b"---\n---\n", b"? [1]\n: 2", b"<<: 3", b"%YAML 9.9\n---\n", b"\t",
        b"runs:\n- {\"id\": 1e999}",
        b"a: 2024-99-99", b"x: 0o99999999999999999999", b"? {a: 1}\n: b", b"seed: .nan\nepochs: .inf",
    ]),
)  # fmt: skip


@st.composite
def spoilt(draw: Any, whole: bytes) -> bytes:
    """A good file cut off, with lines swapped, a value of another kind, or bytes changed; or another file altogether."""
    how = draw(st.sampled_from(["cut", "swap", "value", "bytes", "foreign"]))
    if how == "foreign":
        return draw(foreign)
    if how == "cut":
        return whole[: draw(st.integers(0, len(whole)))]
    if how == "swap":
        return b"\n".join(draw(st.permutations(whole.split(b"\n"))))
    if how == "bytes":
        content = bytearray(whole)
        for place in draw(st.lists(st.integers(0, len(whole) - 1), min_size=1, max_size=5)):
            content[place] = draw(st.integers(0, 255))
        return bytes(content)
    words = whole.split(b": ")
    place = draw(st.integers(1, len(words) - 1))
    rest = words[place].partition(b"," if b"," in words[place] else b"\n")
    words[place] = repr(draw(plain)).encode("utf-8", "surrogatepass") + rest[1] + rest[2]
    return b": ".join(words)


def project() -> Registry:
    """A project with a pretrain run, two evaluations and a published one."""
    registry = Registry(Path.cwd())
    parent = registry.create("simclr", experiment="pretrain", status="interrupted", options={"backbone": "resnet9"})
    for init in ("pretrained", "scratch"):
        run = registry.create(
            init, experiment="linear_eval", status="finished", init=init, pair="p", seed=1, parent=parent.id,
            metrics={"test_acc": 0.5, "best_test_acc": 0.6, "test_images": 100}, history=[{"epoch": 1, "step": 3}],
        )  # fmt: skip
    run.status, run.checkpoints = "finished", {"best.pt": ["0" * 64]}
    registry.save(run)
    return registry


READERS = ("", "runs list", "runs list --format json", "compare", "compare --all", "runs show latest", "runs verify", "plots")


def spoil(path: Path, whole: bytes, lines: tuple[str, ...], count: int) -> None:
    @settings(max_examples=count, deadline=None, **SETTINGS)  # type: ignore[arg-type]
    @given(content=spoilt(whole), line=st.sampled_from(lines))
    def check(content: bytes, line: str) -> None:
        path.write_bytes(content)
        answer(shlex.split(line))

    check()
    path.write_bytes(whole)


def options(count: int) -> None:
    """Every option of every command with values that it may not like."""
    app = cli.command_line()
    groups = ("runs", "data")
    found = [([name], p) for name, command in app.commands.items() if name not in groups for p in command.params]
    found += [([group, name], p) for group in groups for name, c in app.commands[group].commands.items() for p in c.params]
    words = st.one_of(
        st.text(max_size=30), st.integers().map(str), st.floats().map(str),
        st.sampled_from(["", "-1", "0", "nan", "inf", "1e309", "../up", "/etc/passwd", "\x1b[31m", "[red]",
                         "a\nb", "\x00", "é" * 300]),
    )  # fmt: skip

    @settings(max_examples=count, deadline=None, **SETTINGS)  # type: ignore[arg-type]
    @given(place=st.sampled_from(range(len(found))), value=words, extra=st.lists(words, max_size=2))
    def check(place: int, value: str, extra: list[str]) -> None:
        command, parameter = found[place]
        if parameter.name in ("debug", "project", "out") or "rm" in command or "note" in command or "rebuild" in command:
            return  # the first shows tracebacks, the others may write
        option = [parameter.opts[0], value] if parameter.param_type_name == "option" else [value]
        answer([*command, *option, *extra])

    check()


def main() -> None:
    """Do all of it in a fresh folder, and say how many cases there were."""
    os.environ["COLUMNS"] = "200"
    compute_nothing()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        registry = project()
        record = registry.path(f"{registry.runs()[-1].folder}/run.yaml")
        spoil(registry.index, registry.index.read_bytes(), READERS, 350)
        spoil(record, record.read_bytes(), READERS, 250)
        config = Path("options.yaml")
        good = b"epochs: 3\nlr: 0.1\nbackbone: resnet18\nview_sizes: '32'\ndownload: false\nseed: 1\ndata_dir: data\nname: x\n"
        spoil(config, good, tuple(f"{command} --config options.yaml" for command in ("pretrain", "probe", "finetune")), 250)
        options(400)
        assert not Path("ran").exists(), "a YAML file ran a command"
    assert "torch" not in sys.modules, "torch was imported"
    seconds, line = max(TAKEN)
    assert seconds < SLOWEST * median(taken for taken, _ in TAKEN), f"{line!r} computed for {seconds:.1f} s"
    print(f"{len(TAKEN)} cases")


if __name__ == "__main__":
    main()
