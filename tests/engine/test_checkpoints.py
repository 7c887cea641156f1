"""Checkpoints: a run that was killed between epochs ends as if it had not been; and no file can run code."""

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from siamesekit.artifact import Architecture, build
from siamesekit.config import Config
from siamesekit.engine import checkpoints
from siamesekit.engine.checkpoints import FILE, load_checkpoint, save_checkpoint
from siamesekit.errors import ArtifactError
from siamesekit.experiment import run
from siamesekit.model import Encoder
from siamesekit.progress import Progress

TIMING = ("seconds", "images_per_second")


class Killer(Progress):
    """Stops the run as soon as the epoch's checkpoint is there."""

    def __init__(self, after: int) -> None:
        self.after = after

    def say(self, text: str) -> None:
        if text.startswith(f"epoch {self.after:>3}/"):
            raise KeyboardInterrupt


def lines(folder: Path) -> list[dict[str, Any]]:
    read = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if key not in TIMING} for line in read]


@pytest.mark.parametrize(
    ("optimizer", "batchnorm", "select"),
    [
        ("keras-adam", "inference", "last"),
        ("keras-adam", "train", "validation"),
        ("adam", "inference", "validation"),
        ("adam", "train", "last"),
        ("adamw", "train", "last"),
    ],
)
def test_killed_and_resumed_is_bit_equal_to_uninterrupted(
    small_config: Callable[..., Config], tmp_path: Path, optimizer: str, batchnorm: str, select: str
) -> None:
    config = small_config(
        "train.epochs=4", f"optimizer.name={optimizer}", f"encoder.batchnorm={batchnorm}", f"train.select={select}",
        "split.train=0.6", "split.validation=0.5",
    )  # fmt: skip
    run(config, tmp_path / "whole", precision="fp32")
    for after in (1, 3):
        with pytest.raises(KeyboardInterrupt):
            run(config, tmp_path / "killed", resume=after > 1, precision="fp32", progress=Killer(after))
        assert len(lines(tmp_path / "killed")) == after
    assert not (tmp_path / "killed" / "model").exists()
    run(config, tmp_path / "killed", resume=True, precision="fp32")
    weights = [(tmp_path / name / "model" / "model.safetensors").read_bytes() for name in ("whole", "killed")]
    assert weights[0] == weights[1]
    assert lines(tmp_path / "whole") == lines(tmp_path / "killed")
    evaluations = [(tmp_path / name / "evaluation.json").read_bytes() for name in ("whole", "killed")]
    assert evaluations[0] == evaluations[1]


def made() -> tuple[Encoder, torch.optim.Optimizer]:
    encoder = build(Architecture("timm/test_resnet", {}, {"layers": [8]}, "inference"))
    return encoder, torch.optim.Adam(encoder.parameters())


def stepped(encoder: Encoder, optimizer: torch.optim.Optimizer) -> None:
    optimizer.zero_grad()
    encoder.eval()(torch.full((1, 3, 32, 32), 99.0)).sum().backward()
    optimizer.step()


def test_the_state_comes_back_with_what_was_added_to_it(tmp_path: Path) -> None:
    encoder, optimizer = made()
    stepped(encoder, optimizer)
    save_checkpoint(tmp_path / "new", encoder, optimizer, 7, {"best": 0.25})
    other, its_optimizer = made()
    assert load_checkpoint(tmp_path / "new", other, its_optimizer) == (7, {"best": 0.25})
    for name, value in encoder.state_dict().items():
        assert torch.equal(other.state_dict()[name], value)
    stepped(encoder, optimizer)
    stepped(other, its_optimizer)
    assert all(torch.equal(a, b) for a, b in zip(encoder.parameters(), other.parameters(), strict=True))


def test_no_checkpoint_is_none(tmp_path: Path) -> None:
    assert load_checkpoint(tmp_path, *made()) is None


@pytest.mark.parametrize("damage", ["truncated", "empty", "text", "another network"])
def test_a_damaged_or_foreign_checkpoint_is_named(tmp_path: Path, damage: str) -> None:
    encoder, optimizer = made()
    save_checkpoint(tmp_path, encoder, optimizer, 1, {})
    file = tmp_path / FILE
    content = {"truncated": file.read_bytes()[:-2000], "empty": b"", "text": b"no checkpoint"}.get(damage)
    if content is not None:
        file.write_bytes(content)
    else:
        encoder = build(Architecture("timm/test_resnet", {}, {"layers": [9]}, "inference"))
    with pytest.raises(ArtifactError, match=r"latest\.pt is damaged .* start again with --overwrite$"):
        load_checkpoint(tmp_path, encoder, optimizer)


class Attack:
    """Writes a file when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.mark,)


def test_a_checkpoint_cannot_run_code(tmp_path: Path) -> None:
    mark = tmp_path / "pwned"
    torch.save({"epoch": 1, "extra": Attack(mark)}, tmp_path / FILE)
    with pytest.raises(ArtifactError):
        load_checkpoint(tmp_path, *made())
    assert not mark.exists()
    pickle.loads(pickle.dumps(Attack(mark)))
    assert mark.exists(), "the attack works where pickle is trusted"


def test_the_checkpoint_before_stays_until_the_new_one_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder, optimizer = made()
    save_checkpoint(tmp_path, encoder, optimizer, 1, {})

    def half(state: object, path: Path) -> None:
        path.write_bytes(b"half")
        raise OSError("no space left")

    monkeypatch.setattr(checkpoints.torch, "save", half)
    with pytest.raises(OSError, match="no space left"):
        save_checkpoint(tmp_path, encoder, optimizer, 2, {})
    assert load_checkpoint(tmp_path, encoder, optimizer) == (1, {})
    assert [file.name for file in tmp_path.iterdir()] == [FILE]
