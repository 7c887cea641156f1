"""(b) The batch-all triplet loss, forward and backward."""

from __future__ import annotations

from typing import Any

from benchmarks.harness import Contender, Headline, Outcome, Row, Setting, device_peak, fastest, figure, side_by_side

TITLE = "batch-all triplet loss"
PHOTOS, DIMENSIONS, MARGIN = 8, 128, 0.2
SIZES, QUICK_SIZES = (256, 512, 1024, 2048, 4096, 8192), (128,)
MEMORY_LIMIT = 12 * 2**30
"""Bytes above which the peer is not run."""
PEER_MOST = 2048
"""Largest N at which the peer is run."""
INDEXED_BY_MASK = 2**31
"""Number of elements up to which the peer uses an N × N × N mask; above, it lists triplets anchor by anchor."""
BYTES_A_TRIPLET = 62
"""Peak bytes of the peer for each triplet, as measured at N = 1024 and 2048 (version 2.9)."""
HEADLINE = Headline(
    "pytorch-metric-learning 2.9 finds its triplets in two ways. Where N × N × N is below 2³¹ − 1, that is up to "
    "N = 1290, it fills a mask of N × N × N elements; above, it lists the triplets anchor by anchor, which takes less "
    "time for each triplet. So it needs little more time for N = 2048 than for N = 1024, and the two ratios differ: at "
    "N = 1024 it takes {0.theirs} ms and this library {0.ours} ms ({0.ratio}), at N = 2048 {1.theirs} ms and {1.ours} "
    "ms ({1.ratio}). For larger N, this library needs memory that grows with N².",
    (("N = 1024, ms", "pytorch-metric-learning"), ("N = 2048, ms", "pytorch-metric-learning")),
)
MEASURES = (
    f"All triplets of N unit embeddings of dimension {DIMENSIONS}, {PHOTOS} photos per individual: margin {MARGIN}, "
    "Euclidean distance, mean over the triplets whose loss is not 0. The time is that of one forward and one backward "
    "pass, the fastest of several after a warm-up. Peak memory is that of the whole process, including imports. The "
    "peer is `pytorch_metric_learning.losses.TripletMarginLoss` with its default reducer and distance. It holds all "
    f"triplets in memory, so it is not run for N above {PEER_MOST}, or if its predicted memory exceeds "
    f"{MEMORY_LIMIT // 2**30} GiB."
)


def measure(setting: Setting) -> Outcome:
    """Measure time and peak memory at each size."""
    rows, notes = [], []
    peer = "pytorch-metric-learning"
    needs = ("pytorch_metric_learning",)
    for n in QUICK_SIZES if setting.quick else SIZES:
        setting.say(f"  N = {n}")
        arguments = {"n": n, "device": setting.device, "seconds": 0.1 if setting.quick else 1.0}
        theirs, ours = side_by_side(
            setting,
            1 if setting.quick else 3,
            [
                Contender(peer, "benchmarks.batch_all:metric_learning", arguments, needs, refusal(n)),
                Contender("siamesekit", "benchmarks.batch_all:siamesekit", arguments),
            ],
        )
        rows.append(Row("b", f"N = {n}, ms", peer, theirs.best("seconds", 1000), ours.best("seconds", 1000)))
        rows.append(Row("b", f"N = {n}, peak MiB", peer, theirs.most("peak_mib"), ours.most("peak_mib")))
        if theirs.rounds and ours.rounds:
            a, b = float(theirs.last("loss")), float(ours.last("loss"))
            notes.append(f"N = {n}: losses {a:.6f} and {b:.6f}, difference {abs(a - b):.1e}.")
    return Outcome(rows, notes)


def predicted_bytes(n: int) -> int:
    """Predicted peak memory of the peer."""
    triplets = n * (PHOTOS - 1) * (n - PHOTOS)
    mask = n**3 if n**3 < INDEXED_BY_MASK else 0
    return mask + BYTES_A_TRIPLET * triplets


def refusal(n: int) -> str:
    """Why the peer is not run at N; empty if it is."""
    predicted = predicted_bytes(n)
    need = f"not run: predicted to need {figure(predicted / 2**30, 2)} GiB"
    if predicted > MEMORY_LIMIT:
        return need
    return f"{need}, and N is above {PEER_MOST}" if n > PEER_MOST else ""


def siamesekit(n: int, device: str, seconds: float) -> dict[str, Any]:
    """This library's loss."""
    from siamesekit.components.distances.euclidean import Euclidean
    from siamesekit.components.losses.triplet import TripletLoss

    embeddings, labels = _batch(n, device)
    loss = TripletLoss(MARGIN, reduction="mean-nonzero", distance=Euclidean())

    def step() -> float:
        embeddings.grad = None
        objective = loss(embeddings, labels, None).objective
        objective.backward()
        return float(objective.detach())

    return {"seconds": fastest(step, device, seconds), "loss": step()} | device_peak(device)


def metric_learning(n: int, device: str, seconds: float) -> dict[str, Any]:
    """The loss of pytorch-metric-learning."""
    from pytorch_metric_learning.losses import TripletMarginLoss

    embeddings, labels = _batch(n, device)
    loss = TripletMarginLoss(margin=MARGIN)

    def step() -> float:
        embeddings.grad = None
        objective = loss(embeddings, labels)
        objective.backward()
        return float(objective.detach())

    return {"seconds": fastest(step, device, seconds), "loss": step()} | device_peak(device)


def _batch(n: int, device: str) -> tuple[Any, Any]:
    """Unit embeddings in loose clusters, with gradient, and their labels."""
    import torch

    draw = torch.Generator().manual_seed(0)
    labels = torch.arange(n) // PHOTOS
    centres = torch.randn(n // PHOTOS, DIMENSIONS, generator=draw)
    embeddings = centres[labels] + 1.5 * torch.randn(n, DIMENSIONS, generator=draw)
    embeddings = torch.nn.functional.normalize(embeddings, dim=1)
    return embeddings.to(device).requires_grad_(), labels.to(device)
