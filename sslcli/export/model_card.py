"""The README.md of an exported encoder: what it is, where it comes from, and the lines that use it."""

from __future__ import annotations

from typing import Any

from sslcli.data.transform import Transform
from sslcli.evaluation.protocols import evaluations, protocol_named
from sslcli.export.preprocessing import steps_of

PICTURE = 'from PIL import Image\n\npicture = Image.open("picture.png")\n'
RATES = {"test_acc": "test accuracy", "val_knn": "kNN accuracy on training images whose labels are held out"}


def card(
    *, backbone: str, stem: str, dim: int, transform: Transform, provenance: dict[str, Any], packages: tuple[str, ...],
    build: str, use: str, compared: str, format: str,
) -> str:  # fmt: skip
    """The whole text, in Markdown. `build` and `use` are a format's lines, `compared` says how the export was checked."""
    size, mean, std = transform.size, _rounded(transform.mean), _rounded(transform.std)
    where = " The graph does this itself: its input are values from 0 to 1." if format == "onnx" else ""
    return f"""\
# {backbone} encoder, {provenance.get("run", "")}

An image encoder: a picture in, a representation of {dim} numbers out. {_origin(provenance)}

{facts(provenance, backbone, stem)}

**Input.** RGB, {size} x {size} pixels. `prepare.py` makes them of a picture of any kind: {"; ".join(steps_of(transform))}.
Values from 0 to 1, less the mean {mean}, divided by the deviation {std}.{where}
Evaluation mode, float32.

**Checked** when it was exported: {compared}

## Use

It takes {", ".join(packages)}, and not the program that trained it.

```python
{build.rstrip()}
```

```python
{PICTURE}{use.rstrip()}  # (1, {dim})
```

{_of_timm(transform) if format == "timm" else ""}
`encoder.json` says the same for programs. In Python with sslcli: `load_encoder("FOLDER")`{_not(format)}.
"""


def _of_timm(transform: Transform) -> str:
    """How timm's own transform differs."""
    aside = "; the centre that it shows lies one pixel aside" * ((transform.kept - transform.size) % 4 == 3)
    border = "; its border has the mean colour instead of grey" * (transform.fit == "pad")
    return f"""
timm's own transform, `timm.data.create_transform` by the `pretrained_cfg` of `config.json`, is near but not the same. It does
not turn a picture by its EXIF, and does not heed its colour profile. `convert("RGB")`, which it needs before it, drops
transparency and cuts 16 bits off at 255. It rounds the sides of a picture that is not square in another way{aside}{border}.
"""


def _not(format: str) -> str:
    return " takes the other formats, not this one" if format == "onnx" else ""


def _rounded(values: tuple[float, ...]) -> str:
    return f"({', '.join(f'{value:.4f}' for value in values)})"


def _trained_with_labels(provenance: dict[str, Any]) -> bool:
    """Whether it comes from an evaluation that also trained the encoder."""
    experiment = provenance.get("experiment")
    return experiment in evaluations() and not protocol_named(provenance.get("protocol"), experiment).frozen


def _origin(provenance: dict[str, Any]) -> str:
    """The origin of the encoder in a sentence; a random one is called random."""
    data = provenance.get("dataset")
    begun = f"begun from others' weights ({origin['file']})" if (origin := provenance.get("data", {}).get("init")) else ""
    if _trained_with_labels(provenance):
        start = begun or ("after pretraining without labels" if provenance.get("init") != "scratch" else "from random weights")
        return f"Trained with labels on {data}, {start}."
    if provenance.get("init") == "scratch":
        return "**Never trained**: its weights are random, as training would begin with them."
    if begun and provenance.get("experiment") != "pretrain" and not provenance.get("pretraining"):
        return f"Others' weights as they are ({origin['file']})."
    method = _method(provenance) or "self-supervision"
    return f"Trained without labels ({method}) on {data}" + (f", {begun}." if begun else ".")


def _method(provenance: dict[str, Any]) -> Any:
    """The method that trained the encoder without labels; if an earlier version did not record it, from the options."""
    options = provenance.get("pretraining", provenance).get("options", {})
    return provenance.get("method", options.get("method"))


def _epochs(provenance: dict[str, Any]) -> str | None:
    """The epochs of the pretraining, and of how many they are the first; None if there was none."""
    pretrained = provenance if provenance.get("experiment") == "pretrain" else provenance.get("pretraining")
    if pretrained is None or (epochs := pretrained.get("epochs")) is None:
        return None
    early = provenance.get("at_epoch")
    return f"{epochs:g}" if early is None else f"the first {early:g} of {epochs:g}"


def facts(provenance: dict[str, Any], backbone: str, stem: str) -> str:
    """The facts about the training, one line each."""
    versions = provenance.get("versions", {})
    program = f"sslcli {versions.get('sslcli')}, commit {versions.get('commit', 'unknown')}, torch {versions.get('torch')}"
    rows = {
        "run": provenance.get("run"), "kind": provenance.get("experiment"), "begun from": provenance.get("init"),
        "method": _method(provenance),
        "pretrained by": provenance.get("pretraining", {}).get("run"), "backbone": f"{backbone}, stem {stem}",
        "data set": provenance.get("dataset"), "sha256 of the data": provenance.get("data", {}).get("sha256"),
        "epochs of pretraining": _epochs(provenance), "seed": provenance.get("seed"), "begun": provenance.get("created"),
        "program": program, "sha256 of the checkpoint": provenance.get("checkpoint_sha256"),
    }  # fmt: skip
    rows |= {words: f"{provenance['metrics'][key]:.2%}" for key, words in RATES.items() if key in provenance.get("metrics", {})}
    lines = [f"| {name} | {value} |" for name, value in rows.items() if value is not None]
    return "\n".join(["| | |", "|---|---|", *lines])
