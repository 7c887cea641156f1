"""(d) Embedding a folder of photos."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.harness import Contender, FailedError, Headline, Outcome, Row, Setting, fresh, side_by_side

TITLE = "embedding a folder"
MODEL, SIDE = "resnet50", 224
PHOTOS, QUICK_PHOTOS = 2_000, 24
HEADLINE = Headline(
    "`siamesekit embed` takes {0.ours} s for 2,000 photos in fp32; a timm script takes {0.theirs} s ({0.ratio}).",
    (("2,000 photos, ours in fp32, s", "timm script"),),
)
MEASURES = (
    f"Seconds from start to end of the process that embeds {PHOTOS:,} generated JPEG photos of 640 × 480 pixels with "
    f"timm's {MODEL}, with the same random weights and photos squashed to {SIDE} × {SIDE}. Peak memory is that of the "
    "main process, without the peer's two workers. The peer is a script with timm, torchvision's transforms and "
    "`DataLoader(num_workers=2, batch_size=32)` in fp32. Ours are the calls of `siamesekit embed`, in fp32 and, if the "
    "processor multiplies bfloat16 natively, also with `--precision auto`."
)


def measure(setting: Setting) -> Outcome:
    """Measure time, peak memory and the agreement of the embeddings."""
    photos, count = setting.folder / "photos", QUICK_PHOTOS if setting.quick else PHOTOS
    try:
        made = fresh(
            Contender("photos", "benchmarks.embedding:make_photos", {"folder": str(photos), "count": count}),
            setting.folder,
        )
    except FailedError as error:
        return Outcome([], [f"(d) the photos could not be generated: {error}."])
    setting.say(f"  {count} photos generated, {made['kib']:.0f} KiB each")
    common = {"photos": str(photos), "device": setting.device}
    contenders = [
        Contender("timm script", "benchmarks.embedding:script", {**common, "out": str(setting.folder / "theirs.npy")}),
        Contender(
            "siamesekit",
            "benchmarks.embedding:siamesekit",
            {**common, "precision": "fp32", "out": str(setting.folder / "ours.npy")},
        ),
    ]
    if made["bf16"]:
        auto = {**common, "precision": "auto", "out": str(setting.folder / "auto.npy")}
        contenders.append(Contender("siamesekit auto", "benchmarks.embedding:siamesekit", auto))
    theirs, *ours = side_by_side(setting, 1 if setting.quick else 2, contenders)
    rows, notes = [], []
    for contender, measured in zip(contenders[1:], ours, strict=True):
        number = "auto (bf16)" if contender.arguments["precision"] == "auto" else "fp32"
        what = f"{count:,} photos, ours in {number}"
        rows.append(Row("d", f"{what}, s", "timm script", theirs.best("wall_s"), measured.best("wall_s")))
        rows.append(Row("d", f"{what}, peak MiB", "timm script", theirs.most("peak_mib"), measured.most("peak_mib")))
        if theirs.rounds and measured.rounds:
            notes.append(f"Ours in {number}: {_agreement(setting, contender.arguments['out'])}")
    return Outcome(rows, notes)


def _agreement(setting: Setting, out: str) -> str:
    arguments = {"a": str(setting.folder / "theirs.npy"), "b": out}
    try:
        cosines = fresh(Contender("agreement", "benchmarks.embedding:agreement", arguments), setting.folder)
    except FailedError as error:
        return f"embeddings could not be compared: {error}."
    return (
        f"the smallest cosine between the peer's and our embedding of a photo is {cosines['plain']:.6f}, or "
        f"{cosines['centred']:.6f} after subtracting the mean embedding."
    )


def make_photos(folder: str, count: int) -> dict[str, Any]:
    """Generate photos of soft shapes, texture and noise, with JPEG files as large as a camera's."""
    import numpy as np
    from PIL import Image

    from siamesekit.hardware.compute import choose_compute

    Path(folder).mkdir()
    rng = np.random.default_rng(0)
    grain = rng.normal(0, 5, (480, 640, 3)).astype(np.float32)

    def soft(rows: int, columns: int) -> Image.Image:
        values = Image.fromarray(rng.integers(0, 256, (rows, columns, 3), dtype=np.uint8))
        return values.resize((640, 480), Image.Resampling.BICUBIC)

    for number in range(count):
        pixels = np.asarray(Image.blend(soft(9, 12), soft(60, 80), 0.3), dtype=np.float32) + np.roll(
            grain, number * 1009
        )
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(f"{folder}/{number:05}.jpg", quality=90)
    kib = sum(file.stat().st_size for file in Path(folder).iterdir()) / count / 1024
    return {"kib": kib, "bf16": choose_compute("cpu").bf16}


def siamesekit(photos: str, device: str, precision: Any, out: str) -> dict[str, Any]:
    """The calls of `siamesekit embed`."""
    import numpy as np
    import torch

    from siamesekit.artifact.saving import Preprocessing
    from siamesekit.artifact.similarity_model import SimilarityModel
    from siamesekit.components.distances.euclidean import Euclidean
    from siamesekit.hardware.allocator import keep_freed_memory
    from siamesekit.model import Architecture, build
    from siamesekit.progress import Progress

    keep_freed_memory()  # as the command does
    torch.manual_seed(0)
    architecture = Architecture(f"timm/{MODEL}", {}, {"layers": [], "normalize": False}, "inference")
    photo = Preprocessing(SIDE, "squash")
    model = SimilarityModel(build(architecture), Euclidean(), photo, None, {}, device, precision)  # type: ignore[arg-type]
    embeddings = model.embed_files(sorted(Path(photos).iterdir()), Progress())
    np.save(out, embeddings.numpy())
    return device_memory(device)


def script(photos: str, device: str, out: str) -> dict[str, Any]:
    """A user's plain timm script."""
    import numpy as np
    import timm
    import torch
    from PIL import Image
    from timm.data.config import resolve_model_data_config
    from torch.utils.data import DataLoader, Dataset
    from torchvision import transforms

    files = sorted(Path(photos).iterdir())
    torch.manual_seed(0)
    model = timm.create_model(MODEL, pretrained=False, num_classes=0).eval().to(device)
    data = resolve_model_data_config(model)
    transform = transforms.Compose(
        [
            transforms.Resize((SIDE, SIDE)),
            transforms.ToTensor(),
            transforms.Normalize(data["mean"], data["std"]),
        ]
    )

    class Photos(Dataset[torch.Tensor]):
        def __len__(self) -> int:
            return len(files)

        def __getitem__(self, index: int) -> torch.Tensor:
            tensor: torch.Tensor = transform(Image.open(files[index]).convert("RGB"))
            return tensor

    embeddings = []
    with torch.inference_mode():
        for batch in DataLoader(Photos(), batch_size=32, num_workers=2):
            embeddings.append(model(batch.to(device)).cpu())
    np.save(out, torch.cat(embeddings).numpy())
    return device_memory(device)


def device_memory(device: str) -> dict[str, Any]:
    """Peak memory of the device, if it is a CUDA device."""
    from benchmarks.harness import device_peak

    return dict(device_peak(device))


def agreement(a: str, b: str) -> dict[str, Any]:
    """Smallest cosine between corresponding rows of two files, plain and centred."""
    import numpy as np

    theirs, ours = np.load(a).astype(np.float64), np.load(b).astype(np.float64)

    def least(x: Any, y: Any) -> float:
        return float(((x * y).sum(1) / np.linalg.norm(x, axis=1) / np.linalg.norm(y, axis=1)).min())

    centre = theirs.mean(0)
    return {"plain": least(theirs, ours), "centred": least(theirs - centre, ours - centre)}
