"""Checkpoints: what a run needs to go on after an epoch, as if it had never stopped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from siamesekit.errors import ArtifactError
from siamesekit.files import write_atomic
from siamesekit.model import Encoder

FILE = "latest.pt"


def save_checkpoint(
    folder: Path, encoder: Encoder, optimizer: torch.optim.Optimizer, epoch: int, extra: dict[str, Any]
) -> None:
    """Write the state after `epoch`; the one before stays until the new file is whole.

    Args:
        folder: the run's `checkpoints/`.
        encoder: its parameters and buffers are saved.
        optimizer: its state is saved.
        epoch: the last complete epoch.
        extra: more state, of plain numbers, strings, lists and dicts.
    """
    folder.mkdir(parents=True, exist_ok=True)
    state = {
        "epoch": epoch,
        "encoder": encoder.state_dict(),
        "optimizer": optimizer.state_dict(),
        "extra": extra,
    }
    write_atomic(folder / FILE, lambda path: torch.save(state, path))


def load_checkpoint(
    folder: Path, encoder: Encoder, optimizer: torch.optim.Optimizer
) -> tuple[int, dict[str, Any]] | None:
    """Put the saved state into `encoder` and `optimizer`; gives the last complete epoch and the extra state.

    Returns None where there is no checkpoint. The file is read with `weights_only`: it cannot run code.

    Raises:
        ArtifactError: the file is damaged, or is another network's.
    """
    file = folder / FILE
    if not file.exists():
        return None
    try:
        state = torch.load(file, map_location="cpu", weights_only=True)
        encoder.load_state_dict(state["encoder"])
        optimizer.load_state_dict(state["optimizer"])
        return int(state["epoch"]), dict(state["extra"])
    except Exception as error:  # torch raises many kinds, with advice that is not for users: to allow code to run
        raise ArtifactError(f"the checkpoint {file} is damaged or another network's ({type(error).__name__}); "
                            "start again with --overwrite") from error  # fmt: skip
