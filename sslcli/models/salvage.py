"""Extract the tensors of a torch.save file that holds more. Classes and functions become stand-ins; none is run."""

from __future__ import annotations

import collections
import io
import pickle
import shlex
import warnings
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from sslcli.errors import UsageError, UserError
from sslcli.files import atomic_write

MODULE_PARTS = ("_modules", "_parameters", "_buffers")
"""The attributes where a torch module keeps its parts; its state_dict leaves these words out."""


class StandIn:
    """Stands for an object whose class is not imported, or a call that is not made; keeps what it is given."""

    def __new__(cls, *given: Any, **named: Any) -> Self:
        """Create the object as pickle does: without a call of `__init__`."""
        made = super().__new__(cls)
        made.given, made.named = list(given), dict(named)
        return made

    given: list[Any]
    named: dict[Any, Any]

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def __call__(self, *given: Any, **named: Any) -> StandIn:
        """A stand-in for the result of a call."""
        return StandIn(*given, **named)

    def __setstate__(self, state: Any) -> None:
        self.given.append(state)

    def __setitem__(self, key: Any, value: Any) -> None:
        self.named[key] = value

    def append(self, value: Any) -> None:
        """As of a list."""
        self.given.append(value)

    def extend(self, values: Iterable[Any]) -> None:
        """As of a list."""
        self.given.extend(values)

    add = append  # as of a set

    def children(self) -> Iterator[tuple[Any, Any]]:
        """What it was given, by name; for a module, by the names of its state_dict."""
        for number, value in enumerate([self.named, *self.given]):
            if isinstance(value, Mapping):
                yield from (("" if key in MODULE_PARTS else key, child) for key, child in value.items())
            else:
                yield number, value


def _without_state(data: Any, *_: Any) -> Any:
    return data


def _without_type(make: Any, _: Any, given: tuple[Any, ...], __: Any) -> Any:
    """A tensor of a subclass as a plain tensor; `make` is one of the functions below, or a stand-in."""
    return make(*given)


def _without_factory(*given: Any) -> dict[Any, Any]:
    """A defaultdict or a Counter as a plain dict."""
    return dict(given[0]) if given and isinstance(given[0], Mapping) else {}


PLAIN = {
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("collections", "defaultdict"): _without_factory,
    ("collections", "Counter"): _without_factory,
    ("torch", "Size"): torch.Size,
    ("torch", "UntypedStorage"): torch.UntypedStorage,
    ("torch.storage", "UntypedStorage"): torch.UntypedStorage,
    ("torch.storage", "_load_from_bytes"): lambda content: read_inertly(content)[0],
    ("torch._utils", "_rebuild_tensor"): torch._utils._rebuild_tensor,
    ("torch._utils", "_rebuild_tensor_v2"): torch._utils._rebuild_tensor_v2,
    ("torch._utils", "_rebuild_tensor_v3"): torch._utils._rebuild_tensor_v3,
    ("torch._utils", "_rebuild_parameter"): torch._utils._rebuild_parameter,
    ("torch._utils", "_rebuild_parameter_with_state"): _without_state,
    ("torch._tensor", "_rebuild_from_type_v2"): _without_type,
    **{(module, kind.__name__): kind for module in ("builtins", "__builtin__") for kind in (
        set, frozenset, list, dict, tuple, int, float, complex, bool, str, bytes, bytearray, slice)},
}  # fmt: skip
"""What a pickle may name and use: it makes plain data and tensors, and calls nothing else."""


class _Inert(pickle.Unpickler):
    """Reads a pickle without importing or calling what it names; `foreign` collects those names."""

    foreign: ClassVar[dict[str, None]] = {}

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in PLAIN:
            return PLAIN[module, name]
        if module == "torch" and isinstance(kind := getattr(torch, name, None), torch.dtype):
            return kind
        self.foreign[f"{module}.{name}"] = None
        return type(name.rpartition(".")[2] or "StandIn", (StandIn,), {})


def read_inertly(content: bytes) -> tuple[Any, list[str]]:
    """The content of a torch.save file, with stand-ins for all but tensors and plain data, and the names of the stand-ins.

    Nothing that the file names is imported or run. Raises torch's errors for a damaged file.
    """
    foreign: dict[str, None] = {}
    reader = type("_Inert", (_Inert,), {"foreign": foreign})
    as_pickle = SimpleNamespace(__name__="inert", Unpickler=reader, load=lambda file, **how: reader(file, **how).load())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # old files contain the source of their classes, which torch compares
        value = torch.load(io.BytesIO(content), map_location="cpu", pickle_module=as_pickle, weights_only=False)
    return value, list(foreign)


def tensors_in(value: Any) -> dict[str, Tensor]:
    """Every tensor in plain data and stand-ins, by dotted name; a tensor with two names gets the shorter one."""
    found: dict[str, Tensor] = {}
    waiting, seen = deque([("", value)]), set()
    while waiting:
        name, value = waiting.popleft()
        if isinstance(value, Tensor):
            found.setdefault(name, value)
        elif id(value) not in seen:
            seen.add(id(value))
            waiting.extend((".".join(filter(None, (name, str(key)))), child) for key, child in _children(value))
    return found


def _children(value: Any) -> Iterable[tuple[Any, Any]]:
    if isinstance(value, StandIn):
        return value.children()
    if isinstance(value, Mapping):
        return value.items()
    return enumerate(value) if isinstance(value, (list, tuple)) else ()


def keep_tensors(source: str, target: str) -> None:
    """Write the tensors of a torch.save file to another file, by dotted names. Says so, or ends the program."""
    try:
        tensors = {name: tensor.detach() for name, tensor in tensors_in(read_inertly(Path(source).read_bytes())[0]).items()}
        if not tensors:
            raise UsageError(f"{source} holds no tensor")
        buffer = io.BytesIO()
        torch.save(tensors, buffer)
        atomic_write(Path(target), lambda handle: handle.write(buffer.getbuffer()))
    except (UserError, OSError) as error:
        raise SystemExit(str(error)) from None
    print(f"wrote {target}: {len(tensors)} tensors of {source}")


def advice(path: Path, *, script: bool = False) -> str:
    """The line to type that writes a file with only the tensors; `script`: it is a TorchScript archive."""
    target = "weights.pt" if path.name != "weights.pt" else "tensors.pt"
    if script:
        code = f"import torch; torch.save(torch.jit.load({str(path)!r}, 'cpu').state_dict(), '{target}')"
    else:
        code = f"from sslcli.models.salvage import keep_tensors; keep_tensors({str(path)!r}, '{target}')"
    plain = not set(code) & set('"$`\\!')
    return f'python -c "{code}"' if plain else f"python -c {shlex.quote(code)}"
