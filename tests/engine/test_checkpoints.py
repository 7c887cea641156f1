"""Checkpoints: a run that was killed between epochs ends as if it had not been; and no file can run code."""

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from conftest import StopAt, Told, outcome
from helpers import Crash
from siamesekit.config import Config
from siamesekit.engine.checkpoints import KEEP, Stateful, load_checkpoint, save_checkpoint
from siamesekit.errors import ArtifactError, OutputError
from siamesekit.experiment.running import run
from siamesekit.experiment.stopping import Stopped
from siamesekit.files import atomic as files
from siamesekit.files.untrusted import fingerprint
from siamesekit.model import Architecture, Encoder, build
from siamesekit.progress import Progress

pytestmark = pytest.mark.usefixtures("plain_charts")


class Killer(Progress):
    """Stops the run as soon as the epoch's checkpoint is there."""

    def __init__(self, after: int) -> None:
        self.after = after

    def say(self, text: str) -> None:
        if text.startswith(f"epoch {self.after:>3}/"):
            raise KeyboardInterrupt


KINDS = pytest.mark.parametrize(
    ("optimizer", "batchnorm", "select", "more"),
    [
        ("keras-adam", "inference", "last", ()),
        ("keras-adam", "train", "validation", ()),
        ("adam", "inference", "validation", ()),
        ("adam", "train", "last", ()),
        ("adamw", "train", "last", ()),
        ("sgd", "train", "last", ("train.average=0.9", "schedule.name=warmup-cosine")),
        ("keras-adam", "inference", "validation", ("train.average=0.99", "optimizer.layer_decay=0.5")),
        ("adamw", "inference", "last", ("schedule.name=step", "schedule.every=1", "optimizer.clip_norm=0.1",
                                        "train.accumulate=3")),
        ("adam", "inference", "last", ("loss.name=proxy-anchor", "distance.name=cosine", "train.average=0.9",
                                       "loss.optimizer.name=sgd", "schedule.name=exponential",
                                       "train.accumulate=2")),
        ("adam", "inference", "last", ("loss.name=cross-batch-memory", "loss.loss={name='contrastive'}",
                                       "loss.size=12")),
        ("adam", "train", "last", ("encoder.head.dropout=0.3", "sampler={name='mined', every=2, batch_size=4}",
                                   "augmentation.name=photo-id")),
        ("adamw", "inference", "last", ("loss.name=pml/cross-batch-memory", "loss.loss={name='pml/contrastive'}",
                                        "loss.memory_size=24", "miner.name=distance-weighted",
                                        "sampler={name='p-by-k', individuals=2, photos=2}")),
    ],
)  # fmt: skip
"""Optimizers, schedules, averages, and losses and samplers that have a state."""


@pytest.mark.slow
@KINDS
def test_killed_and_resumed_is_bit_equal_to_uninterrupted(
    small_config: Callable[..., Config],
    tmp_path: Path,
    optimizer: str,
    batchnorm: str,
    select: str,
    more: tuple[str, ...],
) -> None:
    config = small_config(
        "train.epochs=4",
        f"optimizer.name={optimizer}",
        f"encoder.batchnorm={batchnorm}",
        f"train.select={select}",
        "split.train=0.6",
        "split.validation=0.5",
        *more,
    )
    run(config, tmp_path / "whole", precision="fp32")
    for after in (1, 3):
        with pytest.raises(KeyboardInterrupt):
            run(config, tmp_path / "killed", resume=after > 1, precision="fp32", progress=Killer(after))
        assert len((tmp_path / "killed" / "metrics.jsonl").read_text().splitlines()) == after
    assert not (tmp_path / "killed" / "model").exists()
    run(config, tmp_path / "killed", resume=True, precision="fp32")
    assert outcome(tmp_path / "whole") == outcome(tmp_path / "killed")


@pytest.mark.slow
@KINDS
def test_stopped_within_epochs_and_resumed_is_bit_equal_to_uninterrupted(
    small_config: Callable[..., Config],
    tmp_path: Path,
    optimizer: str,
    batchnorm: str,
    select: str,
    more: tuple[str, ...],
) -> None:
    """Several times in one epoch, and once more after each step has been saved by time."""
    config = small_config(
        "train.epochs=2", f"optimizer.name={optimizer}", f"encoder.batchnorm={batchnorm}", f"train.select={select}",
        "split.train=0.6", "split.validation=0.5", "sampler.batch_size=4", *more,
    )  # fmt: skip
    run(config, tmp_path / "whole", precision="fp32")
    stops = 0
    for steps in (2, 1, 3, 1, 2, 99):
        try:
            run(config, tmp_path / "cut", resume=stops > 0, precision="fp32", stop=StopAt(steps))
        except Stopped as stopped:
            assert stopped.saved
            stops += 1
        else:
            break
    assert stops >= 3
    assert outcome(tmp_path / "whole") == outcome(tmp_path / "cut")


def made() -> tuple[Encoder, torch.optim.Optimizer]:
    encoder = build(Architecture("timm/test_resnet", {}, {"layers": [8]}, "inference"))
    return encoder, torch.optim.Adam(encoder.parameters())


def parts(encoder: Encoder, optimizer: torch.optim.Optimizer) -> dict[str, Stateful]:
    return {"encoder": encoder, "optimizer": optimizer}


def stepped(encoder: Encoder, optimizer: torch.optim.Optimizer) -> None:
    optimizer.zero_grad()
    encoder.eval()(torch.full((1, 3, 32, 32), 99.0)).sum().backward()
    optimizer.step()


class Counter:
    """The smallest part with a state."""

    def __init__(self, count: int = 0) -> None:
        self.count = count

    def state_dict(self) -> dict[str, Any]:
        return {"count": self.count, "tensor": torch.full((64,), self.count)}

    def load_state_dict(self, state: Any, /) -> None:
        assert torch.equal(state["tensor"], torch.full((64,), state["count"]))
        self.count = state["count"]


def saved(folder: Path, *counts: int) -> None:
    for count in counts:
        save_checkpoint(folder, {"counter": Counter(count)}, {"count": count})


def loaded(folder: Path, told: Told) -> int | None:
    """The count that comes back, the same in the part and beside it."""
    counter = Counter()
    rest = load_checkpoint(folder, {"counter": counter}, told.warn)
    assert rest is None or rest == {"count": counter.count}
    return None if rest is None else counter.count


def test_the_state_comes_back_with_what_was_added_to_it(tmp_path: Path, told: Told) -> None:
    encoder, optimizer = made()
    stepped(encoder, optimizer)
    save_checkpoint(tmp_path / "new", parts(encoder, optimizer), {"best": 0.25})
    other, its_optimizer = made()
    assert load_checkpoint(tmp_path / "new", parts(other, its_optimizer), told.warn) == {"best": 0.25}
    for name, value in encoder.state_dict().items():
        assert torch.equal(other.state_dict()[name], value)
    stepped(encoder, optimizer)
    stepped(other, its_optimizer)
    assert all(torch.equal(a, b) for a, b in zip(encoder.parameters(), other.parameters(), strict=True))


def test_no_checkpoint_is_none(tmp_path: Path, told: Told) -> None:
    assert loaded(tmp_path, told) is None
    assert loaded(tmp_path / "not there", told) is None


def test_the_newest_are_kept_and_the_newest_is_taken(tmp_path: Path, told: Told) -> None:
    saved(tmp_path, *range(1, 6))
    names = sorted(file.name for file in tmp_path.iterdir())
    assert names == ["000004.json", "000004.safetensors", "000005.json", "000005.safetensors"]
    assert len(names) == 2 * KEEP
    assert loaded(tmp_path, told) == 5
    assert told.warned == []


@pytest.mark.parametrize("damage", ["truncated", "empty", "a byte", "gone", "no digest", "digest of another"])
def test_a_damaged_checkpoint_is_named_and_the_one_before_taken(tmp_path: Path, told: Told, damage: str) -> None:
    saved(tmp_path, 1, 2)
    file = tmp_path / "000002.safetensors"
    content = file.read_bytes()
    if damage == "gone":
        file.unlink()
    elif damage == "no digest":
        file.with_suffix(".json").write_text("{}")
    elif damage == "digest of another":
        file.with_suffix(".json").write_bytes((tmp_path / "000001.json").read_bytes())
    else:
        changed = bytes([content[-1] ^ 1])
        file.write_bytes({"truncated": content[:-9], "empty": b"", "a byte": content[:-1] + changed}[damage])
    assert loaded(tmp_path, told) == 1
    [warning] = told.warned
    assert "000002.safetensors is damaged" in warning
    assert "continuing from the one before" in warning
    saved(tmp_path, 3)
    assert loaded(tmp_path, told) == 3


def test_where_all_are_damaged_it_says_so(tmp_path: Path, told: Told) -> None:
    saved(tmp_path, 1, 2)
    for file in tmp_path.glob("*.safetensors"):
        file.write_bytes(b"")
    with pytest.raises(ArtifactError, match=r"all checkpoints in .* are damaged; start again with --overwrite$"):
        loaded(tmp_path, told)
    assert len(told.warned) == 2


@pytest.mark.parametrize("foreign", ["another network", "another part"])
def test_a_checkpoint_of_another_network_is_refused(tmp_path: Path, told: Told, foreign: str) -> None:
    encoder, optimizer = made()
    save_checkpoint(tmp_path, parts(encoder, optimizer), {})
    wanted = parts(encoder, optimizer)
    if foreign == "another part":
        wanted["loss"] = torch.nn.Linear(1, 1)
    else:
        wanted["encoder"] = build(Architecture("timm/test_resnet", {}, {"layers": [9]}, "inference"))
    with pytest.raises(ArtifactError, match=r"does not fit this network or loss .* start again with --overwrite$"):
        load_checkpoint(tmp_path, wanted, told.warn)


class Attack:
    """Writes a file when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.mark,)


def test_a_checkpoint_cannot_run_code(tmp_path: Path, told: Told) -> None:
    mark = tmp_path / "pwned"
    saved(tmp_path / "c", 1)
    file = tmp_path / "c" / "000001.safetensors"
    torch.save({"epoch": 1, "extra": Attack(mark)}, file)
    digest = {"bytes": file.stat().st_size, "sha256": fingerprint(file)}
    file.with_suffix(".json").write_text(json.dumps(digest))
    with pytest.raises(ArtifactError):
        loaded(tmp_path / "c", told)
    assert not mark.exists()
    pickle.loads(pickle.dumps(Attack(mark)))
    assert mark.exists(), "the attack works where pickle is trusted"


@pytest.mark.parametrize("crash", [False, True], ids=["error", "crash"])
def test_whichever_step_fails_the_old_or_the_new_state_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: Told, crash: bool
) -> None:
    """Every change of the disk that saving makes fails in turn, before it is made and after."""
    counted: list[str] = []
    fail_at, after = -1, False

    def guarded(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def step(*arguments: Any) -> Any:
            nonlocal fail_at
            number = len(counted)
            counted.append(name)
            if fail_at >= 0 and crash and number > fail_at:
                raise Crash  # a dead process does nothing more
            if number == fail_at and not after:
                raise Crash if crash else OSError(28, "No space left on device")
            result = real(*arguments)
            if number == fail_at:
                raise Crash if crash else OSError(28, "No space left on device")
            return result

        return step

    for name in files.STEPS:
        monkeypatch.setattr(files, name, guarded(name, getattr(files, name)))
    saved(tmp_path / "count", 1)
    counted.clear()
    saved(tmp_path / "count", 2)
    steps = len(counted)
    assert {"create", "fill", "flush", "rename", "remove"} <= set(counted)
    outcomes = set()
    for number in range(steps):
        for after in (False, True):
            folder = tmp_path / f"{number}-{after}"
            fail_at = -1
            saved(folder, 1)
            counted.clear()
            fail_at = number
            try:
                saved(folder, 2)
            except (OutputError, Crash):
                outcomes.add("failed")
            fail_at = -1
            count = loaded(folder, told)
            assert count in (1, 2)
            outcomes.add(count)
            saved(folder, 3)
            assert loaded(folder, told) == 3
            left = {file.name for file in folder.iterdir()}
            assert {name for name in left if name.startswith(".")} == set()
            assert {Path(name).stem for name in left} <= {"000001", "000002", "000003", "000004"}
    assert outcomes == {"failed", 1, 2}
    assert told.warned == []
    print(f"{2 * steps} points of failure")
