"""The methods of a study: from --methods, or from the line `methods` of a preset, to a section of pretraining for each."""

from __future__ import annotations

from collections.abc import Sequence

from sslcli.errors import UsageError, did_you_mean
from sslcli.methods import FILES
from sslcli.options.pretrain import IN_FILE, Pretrain

Section = dict[str, object]
"""Options of a training, as in a preset."""
ALL = "all"
"""The value that stands for every built-in method that takes the encoder."""


def section_for_each(sections: Sequence[Section], methods: str, *, place: str) -> list[Section]:
    """A section for each of the methods, such as "simclr,byol": its own among `sections`, else the options of the first.

    From the first it takes only what is no option of a method: these would be of another one. A UsageError for a name that
    no method has, and for one that stands there twice.
    """
    own = {section.get("method", Pretrain.method): section for section in sections}
    common = {key: value for key, value in sections[0].items() if not _is_of_a_method(key, sections[0])}
    return [own.get(name) or common | {"method": name} for name in _names(methods, common, place)]


def _is_of_a_method(key: str, section: Section) -> bool:
    file = Pretrain.file_of(str(section.get("method", Pretrain.method)))
    return file is not None and key.replace("-", "_") in file.options


def _names(methods: str, common: Section, place: str) -> list[str]:
    """The names, in their order; all that take the backbone for ALL."""
    if methods == ALL:
        backbone = common.get("backbone", Pretrain.backbone)
        return [name for name, file in FILES.items() if not file.backbones or backbone in file.backbones]
    names = [name.strip() for name in methods.split(",")]
    for name in names:
        if Pretrain.file_of(name) is None:
            accepted = f"{ALL}, or some of {', '.join(FILES)}, {IN_FILE}, with commas between them"
            raise UsageError(f"{place} {methods!r}: no method {name!r}; {did_you_mean(name, FILES)}accepted: {accepted}")
    if twice := [name for name in names if names.count(name) > 1]:
        raise UsageError(f"{place} {methods!r}: {twice[0]} stands there twice; accepted is each method once")
    return names


def hold_to_one_encoder(sections: Sequence[Section]) -> None:
    """A UsageError if several methods are compared, and one of them does not take the encoder of all.

    With --minutes a method that takes only some encoders would choose another one than the others.
    """
    for section in sections if len(sections) > 1 else ():
        file = Pretrain.file_of(str(section.get("method", Pretrain.method)))
        backbone = section.get("backbone", Pretrain.backbone)
        if file and file.backbones and backbone not in file.backbones:
            raise UsageError(
                f"--method {file.name} with --backbone {backbone}: accepted are {', '.join(file.backbones)}; to compare it "
                f"with others, give all of them one encoder: --set pretrain.backbone={file.backbones[0]}"
            )
