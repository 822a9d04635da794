"""load_encoder gives what was trained: from a run, a checkpoint, an export; with its transform and its provenance."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image

from sslcli import load_encoder
from sslcli.data.loading import load_data
from sslcli.data.transform import Transform
from sslcli.errors import StateError, UsageError
from sslcli.models.encoder import weights_hash
from sslcli.runs.registry import Registry
from sslcli.runs.run import Run
from sslcli.training.checkpoint import load_checkpoint
from tests.conftest import TINY

Done = Callable[[str], Run]


def test_three_lines_give_the_encoder_of_a_run_as_its_checkpoint_has_it(done: Done, registry: Registry) -> None:
    run = done(f"pretrain {TINY} --name mine")
    probe = done("probe --epochs 1 --batch-size 32")
    data = load_data("shapes", Path())
    picture = Image.fromarray(data.test_images[0].permute(1, 2, 0).numpy())

    encoder, transform, provenance = load_encoder("latest")
    h = encoder(transform(picture)[None])

    assert h.shape == (1, encoder.dim)
    assert not any(module.training for module in encoder.modules())
    saved = load_checkpoint(registry, run, "last")["model"]
    assert all(torch.equal(value, saved[f"encoder.{name}"]) for name, value in encoder.state_dict().items())
    assert torch.allclose(transform(picture), data.normalise(data.test_images[:1])[0], atol=1e-6)
    assert torch.allclose(transform(data.test_images), data.normalise(data.test_images), atol=1e-6)
    assert (provenance["run"], provenance["dataset"], provenance["seed"]) == (run.id, "shapes", 1)
    assert provenance["versions"] == run.versions
    assert provenance["options"]["temperature"] == 0.5
    assert provenance["checkpoint_sha256"] == run.sha256
    assert provenance["weights_sha256"] == weights_hash(encoder)
    json.dumps(provenance)

    of_probe = load_encoder(probe.id)
    assert weights_hash(of_probe.encoder) == weights_hash(encoder)
    assert of_probe.transform == transform
    assert of_probe.provenance["pretraining"]["run"] == run.id
    by_file = load_encoder(registry.path(probe.checkpoint or ""))
    assert by_file.provenance == of_probe.provenance
    shutil.copy(registry.path(probe.checkpoint or ""), "taken_out.pt")
    assert weights_hash(load_encoder("taken_out.pt").encoder) == weights_hash(encoder)
    assert weights_hash(load_encoder("mine", project=registry.root).encoder) == weights_hash(encoder)


def test_a_run_that_recorded_no_normalisation_takes_it_from_its_data(pretrained: Run, registry: Registry) -> None:
    recorded = load_encoder(pretrained.id).transform
    pretrained.data = {"sha256": pretrained.data["sha256"]}
    registry.save(pretrained)
    assert load_encoder(pretrained.id).transform == recorded


def test_a_kept_epoch_is_loaded_by_its_file(done: Done, registry: Registry) -> None:
    run = done(f"pretrain {TINY} --epochs 2 --keep-every 1")
    early = load_encoder(registry.path(f"{run.folder}/checkpoints/epoch-0001.pt"))
    assert early.provenance["at_epoch"] == 1
    assert weights_hash(early.encoder) != weights_hash(load_encoder(run.id).encoder)


def test_what_is_no_encoder_is_said(done: Done, registry: Registry, tmp_path: Path) -> None:
    with pytest.raises(StateError, match="no finished pretrain run"):
        load_encoder()
    run = done(f"pretrain {TINY}")
    probe = done("probe --epochs 1 --batch-size 32")
    with pytest.raises(UsageError, match=r"holds no encoder.*best\.pt"):
        load_encoder(registry.path(f"{probe.folder}/checkpoints/last.pt"))
    shutil.copy(registry.path(run.checkpoint or ""), tmp_path / "alone.pt")
    with pytest.raises(UsageError, match="does not say where it comes from"):
        load_encoder(tmp_path / "alone.pt")
    path = registry.path(run.checkpoint or "")
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(StateError, match="is damaged"):
        load_encoder(run.id)
    run.status = "interrupted"
    registry.save(run)
    with pytest.raises(StateError, match=f"{run.id} is interrupted; accepted is a finished run"):
        load_encoder(run.id)


def test_the_transform_takes_the_central_square_of_any_picture_and_refuses_what_it_cannot_know() -> None:
    transform = Transform(8, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25), 8)
    wide = torch.zeros(3, 16, 48, dtype=torch.uint8)
    wide[:, :, 16:32] = 255
    for picture in (wide, wide[None], wide.float() / 255, Image.fromarray(wide.permute(1, 2, 0).numpy())):
        made = transform(picture)
        assert made.shape[-3:] == (3, 8, 8)
        assert torch.allclose(made[..., 2:6], torch.tensor(2.0), atol=1e-4)
    alpha = Image.new("LA", (9, 9))
    assert transform(alpha).shape == transform(Image.new("I;16", (9, 9))).shape == (3, 8, 8)
    for wrong in (
        torch.zeros(1, 8, 8),
        torch.full((3, 8, 8), -1.0),
        torch.zeros(3, 8, 8, dtype=torch.int64),
        Image.new("F", (9, 9)),
    ):
        with pytest.raises(UsageError, match="accepted"):
            transform(wrong)


def test_importing_the_library_imports_no_torch() -> None:
    code = "import sys, sslcli; assert 'load_encoder' in sslcli.__all__; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
