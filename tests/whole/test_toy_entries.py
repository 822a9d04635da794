"""A data set, a backbone and a section of the page are a file and a line each: a toy of each stands wherever it should."""

import ast
import json
import re
import runpy
from pathlib import Path

import pytest
import torch

from sslcli.data import DATASETS
from sslcli.models import BACKBONES
from tests.toys import typed_with

PACKAGE = Path(__file__).parents[2] / "sslcli"

STRIPES = '''
"""Stripes: grey pictures of 16x16 pixels, whose class is which way they are striped. A "download" writes them to a file."""

import torch

from sslcli.data.batches import generator
from sslcli.data.image_data import ImageData
from sslcli.errors import StateError


def part(count, seed):
    labels = torch.arange(count) % 2
    images = torch.rand(count, 1, 16, 16, generator=generator(seed, "stripes")) * 100
    images[labels == 0, :, ::2] += 150
    images[labels == 1, :, :, ::2] += 150
    return images.to(torch.uint8).repeat(1, 3, 1, 1), labels


def load(data_dir, *, download):
    path = data_dir / "stripes.pt"
    if not path.exists() and not download:
        raise StateError(f"stripes is not in {data_dir}: add --download")
    if not path.exists():
        data_dir.mkdir(exist_ok=True)
        torch.save((*part(160, 1), *part(40, 2)), path)
    train_images, train_labels, test_images, test_labels = torch.load(path)
    return ImageData(train_images=train_images, train_labels=train_labels, test_images=test_images, test_labels=test_labels,
                     classes=("across", "down"))
'''
OF_STRIPES = (
    'from sslcli.data import DATASETS, DataSet, Size; DATASETS["stripes"] = DataSet("stripes:load", Size(160, 40, 16, 2))'
)
CONES = '''
"""Cones: one convolution, whose largest values are h."""

from torch import nn


class Cones(nn.Module):
    def __init__(self, stem):
        super().__init__()
        side = int(stem.removeprefix("patch"))
        self.conv, self.norm, self.num_features = nn.Conv2d(3, 12, side, side), nn.BatchNorm2d(12), 12

    def forward(self, images):
        return self.norm(self.conv(images)).relu().amax((2, 3))
'''
OF_CONES = 'from sslcli.models import BACKBONES, Backbone; BACKBONES["cones"] = Backbone("cones:Cones", ("patch5", "patch16"))'
FASTEST = '''
"""The fastest run of the study."""

from sslcli.report.section import Section
from sslcli.report.tables import Cell, Table


def content(material):
    runs = [run for run in material.measured.runs if "seconds" in run.metrics]
    rows = [[Cell(run.id, head=True), Cell(f"{run.metrics['seconds']:.1f}", kind="number")] for run in runs]
    return {"seconds": Table("Seconds of training", [("run", False), ("seconds", True)], rows), "name": "<fastest>"}


SECTION = Section(key="fastest", heading="The fastest run", content=content,
                  template='<p class="lead">Of {{ name }}</p>{{ table(seconds, "f1") }}')
'''
OF_FASTEST = 'import fastest; from sslcli.report.sections import SECTIONS; SECTIONS["fastest"] = fastest.SECTION'
PRESET = """
pretrain: {{dataset: {dataset}, backbone: {backbone}, epochs: 1, batch_size: 32, max_steps: 2, view_sizes: "16"}}
probe: {{protocol: knn}}
"""


def test_a_data_set_of_one_file_and_one_line_is_in_help_the_study_the_tables_the_page_the_data_check_and_the_costs(
    tmp_path: Path,
) -> None:
    lines = {
        "pretrain --help": 0,
        "study --help": 0,
        "pretrain --dataset stripes --backbone resnet9-small": 3,
        "bench pretrain --dataset stripes --backbone resnet9-small --epochs 1 --batch-size 32 --no-presets": 0,
        "data check --dataset stripes --download": 0,
        "study --preset preset.yaml --name toys": 0,
        "runs list": 0,
        "compare --study toys --format json": 0,
    }
    files = {"stripes.py": STRIPES, "preset.yaml": PRESET.format(dataset="stripes", backbone="resnet9-small")}
    pretrain, study, absent, costed, checked, _, listed, compared = typed_with(OF_STRIPES, lines, tmp_path, files=files)
    assert "patchwork, stripes" in " ".join(re.sub("[│\n]", " ", pretrain).split())
    assert "patchwork, stripes" in " ".join(re.sub("[│\n]", " ", study).split())
    assert "stripes is not in" in absent
    assert "stripes is not in" in costed
    assert "timed on as many random images of its size" in costed
    assert "checking stripes: 160 training and 40 test images" in checked
    assert "pretrained-simclr-resnet9-small-stripes-s1" in listed
    assert {row["dataset"] for row in json.loads(compared[compared.index("{") :])["rows"]} == {"stripes"}
    page = (tmp_path / "results" / "toys.html").read_text()
    assert "<li>Data <b>stripes</b></li>" in page
    assert "Data check of stripes" in page
    assert json.loads((tmp_path / "results" / "data" / "stripes.json").read_text())["classes"] == ["across", "down"]


def test_a_backbone_of_one_file_and_one_line_is_in_help_the_study_the_tables_the_page_the_costs_and_exports(
    tmp_path: Path,
) -> None:
    lines = {
        "pretrain --help": 0,
        "study --preset preset.yaml --name toys": 0,
        "runs list": 0,
        "compare --study toys --format json": 0,
        "bench probe --init scratch --dataset shapes --backbone cones --protocol knn --no-presets": 0,
        "export latest --out exported": 0,
        "export latest --format timm": 2,
        "pretrain --dataset shapes --backbone cones --stem conv3": 2,
        "pretrain --dataset shapes --backbone resnet9-small --init exported/model.safetensors": 2,
        "runs verify --numbers --from-checkpoint": 0,
    }
    files = {"cones.py": CONES, "preset.yaml": PRESET.format(dataset="shapes", backbone="cones")}
    helped, _, listed, compared, costed, _, foreign, stem, weights, _ = typed_with(OF_CONES, lines, tmp_path, files=files)
    assert "resnet9-large, cones" in " ".join(re.sub("[│\n]", " ", helped).split())
    assert "pretrained-simclr-cones-shapes-s1" in listed
    assert {row["backbone"] for row in json.loads(compared[compared.index("{") :])["rows"]} == {"cones"}
    assert "<li>Backbone <b>cones</b></li>" in (tmp_path / "results" / "toys.html").read_text()
    assert re.search(r"representations +[\d.]+ s", costed)
    assert "--format timm: not possible for cones, the backbone of simclr-cones-shapes-s1" in foreign
    assert "patch5, patch16" in stem
    assert "it fits --backbone cones --stem patch5" in weights
    built = runpy.run_path(str(tmp_path / "exported" / "cones.py"))["Cones"]("patch5")
    assert built(torch.zeros(2, 3, 32, 32)).shape == (2, 12)


def test_a_section_of_one_file_and_one_line_is_in_the_page_of_a_study_and_in_its_navigation(tmp_path: Path) -> None:
    preset = PRESET.format(dataset="shapes", backbone="resnet9-small")
    lines = {"study --preset preset.yaml --name toys": 0, "report --study toys --out again.html": 0}
    typed_with(OF_FASTEST, lines, tmp_path, files={"fastest.py": FASTEST, "preset.yaml": preset}, torch=True)
    for path in (tmp_path / "results" / "toys.html", tmp_path / "again.html"):
        page = path.read_text()
        assert '<li><a href="#fastest">The fastest run</a></li>\n</ul>\n</nav>' in page
        (section,) = re.findall(r'(?s)<section id="fastest" aria-labelledby="fastest-h">\n(.*?)</section>', page)
        assert section.startswith('<h2 id="fastest-h">The fastest run</h2>\n<p class="lead">Of &lt;fastest&gt;</p>')
        assert re.search(r'<th scope="row">simclr-resnet9-small-shapes-s1-\w+</th><td class="number">[\d.]+</td>', section)


SPELLED = {
    "options/pretrain.py": ({"cifar10", "resnet18"}, "defaults"),
    "plans/inheriting.py": ({"cifar10", "resnet18"}, "defaults"),
    "runs/option_versions.py": ({"cifar10", "resnet18"}, "defaults of version 1, which never change"),
    "bench/minutes.py": ({"resnet9", "resnet9-wide", "resnet9-large"}, "what --minutes chooses from"),
    "methods/mae.py": ({"vit-tiny", "vit-small"}, "the backbones that give tokens"),
}
"""Where a data set or a backbone is named that is chosen there, not described."""


@pytest.mark.parametrize(
    ("names", "table", "own"),
    [({*DATASETS}, "data/__init__.py", "data/sets/"), ({*BACKBONES}, "models/__init__.py", "models/backbones/")],
    ids=["data sets", "backbones"],
)
def test_no_file_but_its_own_and_the_table_spells_a_name(names: set[str], table: str, own: str) -> None:
    found: dict[str, set[str]] = {}
    for path in PACKAGE.rglob("*.py"):
        place = path.relative_to(PACKAGE).as_posix()
        constants = {node.value for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Constant)}
        if (spelled := {value for value in constants if isinstance(value, str)} & names) and not place.startswith((own, table)):
            found[place] = spelled
    assert found == {place: words & names for place, (words, _) in SPELLED.items() if words & names}
