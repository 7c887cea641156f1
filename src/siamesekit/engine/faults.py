"""Failures of components during a run, as errors that name the component, the batch and its photos."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from siamesekit.errors import RunError, SiamesekitError, out_of_memory
from siamesekit.registry.component_faults import fault, told
from siamesekit.registry.culprits import culprit
from siamesekit.wording import first_of, in_one_line

SHOWN_PHOTOS = 10
"""Most photos of a batch that an error names."""
LESS_MEMORY = "make batches smaller (options of [sampler]), or take a loss, miner or encoder that needs less"


class ComponentRunError(RunError):
    """A component failed with an unexpected error.

    Attributes:
        part: the component: "loss", "miner", "sampler", …; `naming_failures` adds its name in the config.
        where: epoch, batch and photos; set where they are known.
        photos: photos of the batch, as indices; None if their names are known or no batch is concerned.
        what: the component's error, in one line.
    """

    def __init__(self, part: str, error: Exception) -> None:
        super().__init__()
        self.part = part
        self.where = ""
        self.photos: list[int] | None = None
        plugin = culprit(error)
        self.what = in_words(error) if plugin is None else fault(error, plugin)

    @property
    def message(self) -> str:
        """`loss 'triplet' failed in epoch 2, batch 3 (photos …): what it raised`."""
        return in_one_line(f"{self.part} failed{self.where and f' in {self.where}'}: {self.what}")


@contextmanager
def failing_as(part: str, where: str = "", photos: Sequence[int] | None = None) -> Iterator[None]:
    """Turn errors of a block into failures of a component.

    Args:
        part: the component that the block runs.
        where: where in the run the block is; an inner block takes precedence.
        photos: indices of the photos that the block works on.

    Raises:
        ComponentRunError: from any error of the block, except a `RunError` or lack of memory.
    """
    try:
        yield
    except ComponentRunError as failed:
        _place(failed, where, photos)
        raise
    except Exception as error:
        if isinstance(error, RunError) or out_of_memory(error):
            raise
        of_part = ComponentRunError(part, error)
        _place(of_part, where, photos)
        raise of_part from error


def _place(failed: ComponentRunError, where: str, photos: Sequence[int] | None) -> None:
    if not failed.where:
        failed.where, failed.photos = where, None if photos is None else list(photos)


@contextmanager
def naming_failures(components: Mapping[str, str], photos: Sequence[str]) -> Iterator[None]:
    """Add the names of components and photos to the failures of a block.

    Args:
        components: component names in the config, by part: "loss" becomes `loss 'triplet'`.
        photos: names of the photos into which an error's `photos` are indices.

    Raises:
        RunError: the block failed or ran out of memory.
    """
    try:
        yield
    except ComponentRunError as failed:
        if failed.part in components:
            failed.part = f"{failed.part} {components[failed.part]!r}"
        if failed.photos is not None:
            failed.where += photos_in_words([photos[photo] for photo in failed.photos])
        raise
    except (MemoryError, RuntimeError) as error:
        if not out_of_memory(error):
            raise
        raise RunError(f"Out of memory ({in_words(error)}); {LESS_MEMORY}") from error


def in_words(error: Exception) -> str:
    """An error in one line: its message, and its type unless the error is this library's own."""
    return in_one_line(str(error)) if isinstance(error, SiamesekitError) else told(error)


def batch_in_words(epoch: int, number: int, photos: Sequence[str] | None) -> str:
    """The place of an error: `epoch 2, batch 3 (photos a.jpg, b.jpg and 30 more)`.

    Args:
        epoch: number of the epoch, from 1.
        number: number of the batch, from 0.
        photos: names of the batch's photos; None if unknown.
    """
    return f"epoch {epoch}, batch {number + 1}{photos_in_words(photos)}"


def photos_in_words(photos: Sequence[str] | None) -> str:
    """Photos in brackets, ` (photos a.jpg, b.jpg and 30 more)`; an empty string if their names are unknown."""
    return "" if photos is None else f" (photos {first_of(photos, SHOWN_PHOTOS)})"
