"""The artifact: a model that loads without its config, and is refused when damaged or hostile."""

import json
import os
import shutil
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import load_file, save_file
from torchvision.models import get_model_builder

from conftest import POINT
from peak_memory import forget_peak, peak_memory
from siamesekit.artifact import loading
from siamesekit.artifact.loading import load
from siamesekit.artifact.saving import Preprocessing, save_model
from siamesekit.artifact.similarity_model import SimilarityModel
from siamesekit.components.encoders.backbone import Backbone
from siamesekit.errors import ArtifactError
from siamesekit.experiment.run_result import RunResult
from siamesekit.files.untrusted import fingerprint
from siamesekit.model import Architecture, build
from siamesekit.registry import DISTANCES, ENCODERS


@pytest.fixture(scope="module")
def model(telling: Path) -> SimilarityModel:
    return load(telling, device="cpu")


@pytest.fixture
def copy(telling: Path, tmp_path: Path) -> Path:
    """A copy of a run's model, to be damaged."""
    return Path(shutil.copytree(telling / "model", tmp_path / "model"))


@pytest.fixture
def photo(project: Path) -> Path:
    return project / "photos" / "striped_2" / "1.png"


def edit(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    file = folder / "model.json"
    description = json.loads(file.read_text())
    change(description)
    file.write_text(json.dumps(description))


@pytest.mark.medium
def test_a_run_that_cannot_tell_individuals_apart_ships_no_verdict(finished: RunResult, photo: Path) -> None:
    """The finished run's two epochs teach nothing: judged on other individuals, its threshold would be guessing."""
    assert finished.evaluation["threshold"] is None
    [why] = [note for note in finished.evaluation["notes"] if note.startswith("No threshold")]
    model = load(finished.folder, device="cpu")
    found = model.compare(photo, photo.with_name("0.png"))
    assert (found.similarity, found.threshold, found.same) == (None, None, None)
    assert found.distance > 0
    assert model.threshold is None
    assert model.description["no_threshold"] == why


RATES = POINT["cross_fit"]


@pytest.mark.parametrize(
    ("cross_fit", "ships"),
    [
        (RATES, True),
        (RATES | {"accuracy": {"value": 0.52, "low": 0.44, "high": 0.66}}, False),
        (RATES | {"accuracy": {"value": 0.52, "low": 0.5, "high": 0.66}}, False),
        (RATES | {"accuracy": {"value": 0.9, "low": None, "high": None}}, False),
        ({key: value for key, value in RATES.items() if key != "accuracy"}, True),
        (
            {key: value for key, value in RATES.items() if key != "accuracy"}
            | {"false_accept_rate": {"value": 0.75, "low": None, "high": None}},
            False,
        ),
        (None, True),
    ],
)
def test_an_older_model_is_held_to_its_own_error_rates(
    copy: Path, photo: Path, cross_fit: dict[str, Any] | None, ships: bool
) -> None:
    edit(copy, lambda d: d["operating_point"].update(cross_fit=cross_fit))
    edit(copy, lambda d: d.pop("no_threshold"))
    model = load(copy)
    found = model.compare(photo, photo)
    assert (found.same, found.threshold is not None, found.similarity is not None) == (
        (True if ships else None),
        ships,
        ships,
    )
    assert (model.description["no_threshold"] is None) == ships
    if not ships:
        assert "may be no better than guessing" in model.description["no_threshold"]


def test_the_model_folder_loads_alone(copy: Path, model: SimilarityModel, photo: Path) -> None:
    assert torch.equal(load(copy).embed(photo), model.embed(photo))


@pytest.mark.parametrize("key", ["mean", "std"])
def test_input_scaling_travels_with_the_model(copy: Path, model: SimilarityModel, photo: Path, key: str) -> None:
    edit(copy, lambda d: d["encoder"].update({key: [30.0, 20.0, 10.0]}))
    assert not torch.allclose(load(copy).embed(photo), model.embed(photo), atol=1e-3)


@pytest.mark.parametrize("place", [20_000, -1])
def test_one_tampered_byte_of_the_weights_is_noticed(copy: Path, place: int) -> None:
    file = copy / "model.safetensors"
    content = bytearray(file.read_bytes())
    content[place] ^= 1
    file.write_bytes(content)
    with pytest.raises(ArtifactError, match="is not the file that was saved: its SHA-256 differs"):
        load(copy)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            lambda d: d.update(format=3),
            "has format 3, this version reads 1 and 2; install the siamesekit that",
        ),
        (lambda d: d.update(format=True), "format: must be a whole number, not true"),
        (lambda d: d.update(format="1"), "format: must be a whole number"),
        (
            lambda d: d["encoder"].update(name="my-net"),
            r"needs a component .*unknown encoder 'my-net'.*\(--plugin FILE\)",
        ),
        (
            lambda d: d["distance"].update(name="mine"),
            r"needs a component .*unknown distance 'mine'.*\(--plugin FILE\)",
        ),
        (lambda d: d["distance"].update(options={"p": 3}), "unknown option of distance"),
        (lambda d: d["distance"].update(options=[]), "distance.options: must be a"),
        (lambda d: d.pop("encoder"), "  encoder: is required"),
        (lambda d: d.update(encoder=[]), "  encoder: must be a"),
        (lambda d: d["encoder"].update(name="x" * 201), "encoder.name: must have at most 200 characters"),
        (lambda d: d["encoder"].update(options=[1]), "encoder.options: must be a"),
        (lambda d: d["encoder"].update(options={"pretrained": True}), "is supplied by the library and cannot be set"),
        (lambda d: d["encoder"].update(options={"x": "y" * 1001}), "at most 1000 values of at most 1000 characters"),
        (lambda d: d["encoder"].update(options={"x" * 1001: 1}), "at most 1000 values of at most 1000 characters"),
        (lambda d: d["encoder"].update(options={"x": [[0]] * 1000}), "at most 1000 values"),
        (lambda d: d["encoder"].update(batchnorm="other"), "encoder.batchnorm: must be"),
        (lambda d: d["encoder"].update(mean=[1.0]), "encoder.mean: must have at least 3 items"),
        (lambda d: d["encoder"].update(std=[1.0, 0.0, 1.0]), "encoder.std.1: must be greater than"),
        (lambda d: d["encoder"].update(std=[1.0, 1e300, 1.0]), "encoder.std.1: must be less than"),
        (
            lambda d: d["encoder"].update(mean=[1.0, True, 1.0]),
            "encoder.mean.1: must be a valid number|must be a number",
        ),
        (lambda d: d["encoder"]["head"].update(layers=[8]), "holds another network's weights .* differences"),
        (lambda d: d["encoder"]["head"].update(layers=[2**20] * 64), "holds another network's weights"),
        (lambda d: d["encoder"]["head"].update(layers=[10**9]), "must be at most 64 layers of 1 to 1,048,576 units"),
        (lambda d: d["encoder"]["head"].update(layers=[1] * 65), "must be at most 64 layers"),
        (lambda d: d["encoder"]["head"].update(layers=[0]), "must be at most 64 layers of 1"),
        (lambda d: d["encoder"]["head"].update(layers="no"), 'encoder.head.layers: .*not "no"'),
        (lambda d: d["encoder"]["head"].update(activation="sine"), "encoder.head.activation: must be 'relu'"),
        (lambda d: d["encoder"]["head"].update(num_features=3), "encoder.head.num_features: "),
        (lambda d: d["input"].update(size="big"), 'input.size: must be a whole number, not "big"'),
        (lambda d: d["input"].update(size=4097), "input.size: must be less than or equal to 4096"),
        (lambda d: d["input"].update(size=0), "input.size: must be greater than or equal to 1"),
        (lambda d: d["input"].update(fit="stretch"), "input.fit: must be 'squash'"),
        (lambda d: d["operating_point"].update(threshold="far"), "operating_point.threshold: must be a"),
        (lambda d: d["operating_point"].update(slope=-1.0), "operating_point.slope: must be greater than 0"),
        (lambda d: d["operating_point"].pop("slope"), "operating_point.slope: is required"),
        (lambda d: d["operating_point"].update(cross_fit={}), "operating_point.cross_fit.same_pairs: is required"),
        (lambda d: d.update(stand_ins=[{}]), "stand_ins.0.what: is required"),
        (lambda d: d.update(weights_sha256="0"), "weights_sha256: must be a SHA-256 of 64 digits"),
    ],
)
def test_a_description_that_does_not_fit_is_refused(
    copy: Path, change: Callable[[dict[str, Any]], object], says: str
) -> None:
    edit(copy, change)
    with pytest.raises(ArtifactError, match=says):
        load(copy)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '"text"', "\ud83d".encode("utf-8", "surrogatepass")])
def test_damaged_json_is_refused(copy: Path, text: str | bytes) -> None:
    (copy / "model.json").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ArtifactError, match="is damaged"):
        load(copy)


def test_missing_files_are_named(copy: Path, tmp_path: Path) -> None:
    (copy / "model.safetensors").unlink()
    with pytest.raises(ArtifactError, match=r"model\.safetensors cannot be read: No such file or directory"):
        load(copy)
    (copy / "model.json").unlink()
    for folder in (copy, tmp_path / "nowhere"):
        with pytest.raises(ArtifactError, match=r"there is no model in .*model\.json is missing; did the run finish\?"):
            load(folder)


def test_a_run_that_has_no_model_yet_says_how_to_go_on(tmp_path: Path) -> None:
    folder = tmp_path / "my run"
    folder.mkdir()
    (folder / "manifest.json").write_text("{}")
    with pytest.raises(ArtifactError) as told:
        load(folder)
    assert str(told.value).endswith(
        f"did the run finish? To continue it: siamesekit run '{folder}/config.toml' --out '{folder}' --resume"
    )


@pytest.mark.parametrize("name", ["model.json", "model.safetensors"])
@pytest.mark.parametrize("target", ["/etc/passwd", "../secret", "/dev/zero", "/proc/self/environ"])
def test_no_link_is_followed_out_of_the_artifact(copy: Path, name: str, target: str) -> None:
    (copy.parent / "secret").write_bytes((copy / name).read_bytes())
    (copy / name).unlink()
    (copy / name).symlink_to(target)
    with pytest.raises(ArtifactError, match=r"a link that leads out of|there is no model in"):
        load(copy)


def test_links_inside_the_artifact_are_followed(copy: Path, model: SimilarityModel, photo: Path) -> None:
    for name in ("model.json", "model.safetensors"):
        (copy / name).rename(copy / f"real-{name}")
        (copy / name).symlink_to(f"real-{name}")
    (copy.parent / "latest").symlink_to(copy)
    assert torch.equal(load(copy.parent / "latest").embed(photo), model.embed(photo))


def test_a_runs_model_folder_that_is_a_link_elsewhere_is_refused(copy: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "model").symlink_to(copy)
    with pytest.raises(ArtifactError, match="a link that leads out of"):
        load(run)


@pytest.mark.timeout(30)
@pytest.mark.parametrize("name", ["model.json", "model.safetensors"])
def test_a_pipe_or_a_folder_in_place_of_a_file_does_not_hang(copy: Path, name: str) -> None:
    for make in (os.mkfifo, os.mkdir):
        (copy / name).unlink() if (copy / name).is_file() else None
        make(copy / name)
        with pytest.raises(ArtifactError, match=r"not a plain file|there is no model in"):
            load(copy)
        (copy / name).rmdir() if make is os.mkdir else (copy / name).unlink()


@pytest.mark.parametrize("size", [2**20 + 1, 100 << 30])
def test_a_description_that_is_too_large_is_not_read(copy: Path, size: int) -> None:
    os.truncate(copy / "model.json", size)
    with pytest.raises(ArtifactError, match=r"model\.json has more than 1,048,576 bytes"):
        load(copy)


def test_weights_of_100_gib_are_refused_unread(copy: Path) -> None:
    os.truncate(copy / "model.safetensors", 100 << 30)
    began = time.process_time()
    with pytest.raises(ArtifactError, match=r"not a complete safetensors file|larger than this process may map"):
        load(copy)
    assert time.process_time() - began < 2


@pytest.mark.slow
@pytest.mark.parametrize(
    "encoder",
    ["timm/vit_giant_patch14_dinov2", "torchvision/regnet_y_128gf", "xception", "timm/eva_giant_patch14_560"],
)
@pytest.mark.parametrize("layers", [[8], [2**20, 2**20]])
def test_no_memory_is_taken_for_a_network_that_the_file_does_not_hold(
    copy: Path, encoder: str, layers: list[int]
) -> None:
    """Up to 17 GB of backbone and 4.4 TB of head, refused by names and shapes alone."""
    edit(copy, lambda d: d["encoder"].update(name=encoder))
    edit(copy, lambda d: d["encoder"]["head"].update(layers=layers))
    forget_peak()
    before = peak_memory()
    with pytest.raises(ArtifactError, match=r"holds another network's weights than model\.json describes"):
        load(copy)
    assert peak_memory() - before < 600 * 2**20


def shipped_encoders() -> dict[str, str]:
    """All encoders that the registry has by name, each with the module that defines its architecture."""
    found = {}
    for component in ENCODERS.components():
        if not component.origin.startswith("siamesekit."):
            continue
        for member in component.members() or [""]:
            if "*" in member:  # a form, of which the hub has any number
                continue
            name = component.name.replace("*", member)
            library, _, model = name.partition("/")
            source = {"timm": timm.model_entrypoint, "torchvision": get_model_builder}.get(library)
            found[name] = name if source is None else source(model).__module__
    return found


def refuse_outlines_with_memory(names: Iterable[str]) -> None:
    for name in names:
        outline = loading._outline(Architecture(name, {}, {"layers": [8]}, "inference"), "x")
        assert sum(p.numel() for p in outline.parameters() if p.device.type != "meta") < 5_000_000, name


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_an_encoder_of_each_architecture_can_be_outlined() -> None:
    """Without memory for its weights: otherwise its artifacts could not be loaded."""
    first = {module: name for name, module in reversed(shipped_encoders().items())}
    assert len(first) > 80
    refuse_outlines_with_memory(first.values())


@pytest.mark.huge
@pytest.mark.timeout(3600)
def test_every_shipped_encoder_can_be_outlined() -> None:
    names = list(shipped_encoders())
    assert len(names) > 1000
    refuse_outlines_with_memory(names)


@pytest.mark.usefixtures("no_traces")
def test_a_plugins_encoder_that_needs_memory_to_be_built_loads(tmp_path: Path, photo: Path) -> None:
    @ENCODERS.register("needs-memory")
    def needs_memory(*, pretrained: bool = False) -> Backbone:
        """Looks at a tensor's value."""
        width = 4 + int(torch.empty(1).fill_(2).item())
        network = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(3, width))
        return Backbone(network, width, [0.0] * 3, [255.0] * 3)

    made = Architecture("needs-memory", {}, {"layers": [8]}, "inference")
    encoder = build(made).eval()
    save_model(tmp_path, encoder, made, Preprocessing(32, "pad"), {"name": "cosine", "options": {}}, None, {})
    model = load(tmp_path)
    torch.testing.assert_close(model.embed(photo), encoder(model.prepare(photo)[None]).detach())
    edit(tmp_path, lambda d: d["encoder"]["head"].update(layers=[9]))
    with pytest.raises(ArtifactError, match="holds another network's weights"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            lambda t: {**t, "head.dense1.weight": t["head.dense1.weight"].T.contiguous()},
            r"head.dense1.weight is float32 \[",
        ),
        (
            lambda t: {**t, "head.dense1.bias": t["head.dense1.bias"].half()},
            r"bias is float16 \[32\] in the file and float32",
        ),
        (lambda t: {k: v for k, v in t.items() if k != "head.dense1.bias"}, "head.dense1.bias is not in the file"),
        (lambda t: {**t, "extra\x1b[2J": torch.ones(1)}, r"the network has no 'extra\\x1b\[2J'"),
    ],
)
def test_tensors_must_be_the_networks_even_where_the_sha256_fits(
    copy: Path, change: Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]], says: str
) -> None:
    file = copy / "model.safetensors"
    save_file(change(load_file(file)), file)
    edit(copy, lambda d: d.update(weights_sha256=fingerprint(file)))
    with pytest.raises(ArtifactError, match=says):
        load(copy)


def test_what_a_terminal_would_obey_stands_as_escapes(copy: Path) -> None:
    edit(copy, lambda d: d.update(stand_ins=[dict.fromkeys(("what", "wanted", "used", "why", "hint"), "a\x1b[2Jb\n")]))
    assert load(copy).description["stand_ins"][0]["used"] == r"a\x1b[2Jb\n"
    edit(copy, lambda d: d["encoder"].update({"head": {"la\x1b[2J": 1}}))
    with pytest.raises(ArtifactError) as caught:
        load(copy)
    assert "\x1b" not in str(caught.value)
    assert r"la\x1b[2J" in str(caught.value)


def test_no_component_that_an_artifact_may_name_takes_a_path() -> None:
    """Else an artifact could have any file of its reader's opened."""
    for registry in (ENCODERS, DISTANCES):
        for component in registry.components():
            members = (
                [component.member(name) for name in component.members()] if component.members_from else [component]
            )
            taken = [option.name for member in members for option in member.options if "Path" in option.shown]
            assert taken == [], component.name


def test_no_artifact_makes_a_plugin_load(copy: Path, tmp_path: Path) -> None:
    (copy / "plugins").mkdir()
    (copy / "plugins" / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    (copy / "sitecustomize.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    edit(copy, lambda d: d.update(plugins=["plugins/evil.py"]))
    load(copy)
    assert not (tmp_path / "ran").exists()
