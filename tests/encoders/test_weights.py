"""Weights from files, good and bad, and BatchNorm statistics from photos."""

import pickle
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from siamesekit.encoders.backbone import Backbone
from siamesekit.encoders.weights import calibrate_batchnorm, load_weights
from siamesekit.errors import MissingWeightsError, WeightsError


def small(seed: int, width: int = 4) -> Backbone:
    torch.manual_seed(seed)
    parts = OrderedDict(
        conv=nn.Conv2d(3, width, 3), bn=nn.BatchNorm2d(width), act=nn.ReLU(),
        conv2=nn.Conv2d(width, 5, 3), bn2=nn.BatchNorm2d(5), pool=nn.AdaptiveAvgPool2d(1), flat=nn.Flatten(),
    )  # fmt: skip
    backbone = Backbone(nn.Sequential(parts), 5, mean=(127.5,) * 3, std=(127.5,) * 3)
    for norm in (backbone.network.bn, backbone.network.bn2):
        nn.init.normal_(norm.running_mean)
        nn.init.uniform_(norm.running_var, 0.5, 2)
    return backbone.eval()


def state(seed: int = 1, width: int = 4) -> dict[str, Tensor]:
    return dict(small(seed, width).network.state_dict())


def saved(file: Path, tensors: dict[str, Tensor]) -> Path:
    if file.suffix == ".safetensors":
        save_file(tensors, file)
    else:
        torch.save(tensors, file)
    return file


IMAGES = torch.randint(0, 256, (2, 3, 12, 12), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


@pytest.mark.parametrize("suffix", [".safetensors", ".pth", ".pt", ".bin"])
def test_every_format_gives_the_features_of_the_saved_network(tmp_path: Path, suffix: str) -> None:
    backbone = small(2)
    assert not torch.allclose(backbone(IMAGES), small(1)(IMAGES))
    load_weights(backbone, saved(tmp_path / f"w{suffix}", state()))
    assert torch.equal(backbone(IMAGES), small(1)(IMAGES))


@pytest.mark.parametrize("key", ["state_dict", "model"])
def test_a_checkpoint_that_nests_its_weights_is_understood(tmp_path: Path, key: str) -> None:
    file = tmp_path / "w.pth"
    torch.save({key: state(), "epoch": 3}, file)
    backbone = small(2)
    load_weights(backbone, file)
    assert torch.equal(backbone(IMAGES), small(1)(IMAGES))


def test_a_saved_model_of_this_library_is_understood(tmp_path: Path) -> None:
    tensors = {f"backbone.network.{name}": value for name, value in state().items()} | {
        "head.dense1.bias": torch.ones(2)
    }
    backbone = small(2)
    load_weights(backbone, saved(tmp_path / "w.safetensors", tensors))
    assert torch.equal(backbone(IMAGES), small(1)(IMAGES))


@pytest.mark.parametrize("classifier", ["fc", "classifier", "head.fc", "last_linear", "head"])
def test_a_classifier_in_the_file_is_left_out(tmp_path: Path, classifier: str) -> None:
    extra = {f"{classifier}.weight": torch.ones(10, 5), f"{classifier}.bias": torch.ones(10)}
    backbone = small(2)
    load_weights(backbone, saved(tmp_path / "w.safetensors", state() | extra))
    assert torch.equal(backbone(IMAGES), small(1)(IMAGES))


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({"layer1.weight": torch.ones(2)}, "another network's weights, 13 differences"),
        (state() | {"extra.weight": torch.ones(1)}, "the network has no extra.weight"),
        ({k: v for k, v in state().items() if k != "conv2.bias"}, "conv2.bias is not in the file"),
        (state(width=6), r"bias is \[6\] in the file and \[4\] in the network"),
    ],
    ids=["other names", "one too many", "one too few", "other shape"],
)
def test_another_networks_weights_are_refused_and_change_nothing(
    tmp_path: Path, suffix: str, tensors: dict[str, Tensor], message: str
) -> None:
    backbone = small(2)
    with pytest.raises(WeightsError, match=message):
        load_weights(backbone, saved(tmp_path / f"w{suffix}", tensors))
    assert torch.equal(backbone(IMAGES), small(2)(IMAGES))


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
@pytest.mark.parametrize("kept", [0.0, 0.001, 0.1, 0.5, 0.9, 0.999])
def test_a_truncated_file_is_refused(tmp_path: Path, suffix: str, kept: float) -> None:
    file = saved(tmp_path / f"w{suffix}", state())
    content = file.read_bytes()
    file.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(WeightsError, match=f"w{suffix}"):
        load_weights(small(2), file)


class Malicious:
    """Unpickling it creates a file."""

    def __init__(self, witness: Path) -> None:
        self.witness = witness

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.witness,)


@pytest.mark.parametrize("how", ["torch.save", "plain pickle"])
def test_a_file_with_code_is_refused_and_the_code_does_not_run(tmp_path: Path, how: str) -> None:
    file, witness = tmp_path / "w.pth", tmp_path / "ran"
    content = {**state(), "evil": Malicious(witness)}
    if how == "torch.save":
        torch.save(content, file)
    else:
        file.write_bytes(pickle.dumps(content, protocol=2))
    with pytest.raises(WeightsError, match="files that need code to be run are not loaded"):
        load_weights(small(2), file)
    assert not witness.exists()
    torch.load(file, weights_only=False) if how == "torch.save" else pickle.loads(file.read_bytes())
    assert witness.exists(), "the file must be one that would run code, or this test shows nothing"


@pytest.mark.parametrize("content", [{"conv.weight": 3}, torch.ones(3), [torch.ones(3)]], ids=["int", "tensor", "list"])
def test_a_file_without_a_state_dict_is_refused(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "w.pth")
    with pytest.raises(WeightsError, match="does not hold a state_dict"):
        load_weights(small(2), tmp_path / "w.pth")


@pytest.mark.parametrize("name", ["absent.safetensors", "absent.pth", "."])
def test_a_file_that_is_not_there_means_missing_weights(tmp_path: Path, name: str) -> None:
    with pytest.raises(MissingWeightsError, match="no weights file"):
        load_weights(small(2), tmp_path / name)


def test_calibration_is_the_mean_over_batches_of_the_batch_statistics() -> None:
    network = small(3).network
    parameters = [parameter.detach().clone() for parameter in network.parameters()]
    seen: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {"bn": [], "bn2": []}

    def note(name: str, inputs: Tensor) -> None:
        values = inputs.numpy().transpose(1, 0, 2, 3).reshape(inputs.shape[1], -1)
        seen[name].append((values.mean(1), values.var(1, ddof=1)))

    hooks = [getattr(network, name).register_forward_pre_hook(lambda _, x, n=name: note(n, x[0])) for name in seen]
    batches = [torch.randn(size, 3, 10, 10) * scale for size, scale in [(4, 1.0), (4, 3.0), (2, 0.5)]]

    def scaled() -> Iterator[Tensor]:
        yield from batches

    calibrate_batchnorm(network, scaled())
    for hook in hooks:
        hook.remove()
    for name, statistics in seen.items():
        norm = getattr(network, name)
        assert len(statistics) == 3
        np.testing.assert_allclose(norm.running_mean, np.mean([mean for mean, _ in statistics], 0), atol=1e-5)
        np.testing.assert_allclose(norm.running_var, np.mean([var for _, var in statistics], 0), rtol=1e-4)
        assert not norm.training
        assert norm.momentum == 0.1
    assert all(map(torch.equal, parameters, network.parameters()))
