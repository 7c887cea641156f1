"""What a component raises in the middle of a run, as an error that names the component, the batch and its photos."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from siamesekit.component_faults import fault, told
from siamesekit.culprits import culprit
from siamesekit.errors import RunError, SiamesekitError, first_of, in_one_line, out_of_memory

SHOWN_PHOTOS = 10
"""How many of a batch's photos an error names."""
LESS_MEMORY = "make batches smaller (options of [sampler]), or take a loss, miner or encoder that needs less"


class ComponentRunError(RunError):
    """A component raised something that it does not raise on purpose.

    Attributes:
        part: "loss", "miner", "sampler", …; whoever knows its name in the config puts that in its place.
        where: epoch, batch and photos, put in by whoever knows them.
        photos: of the batch, as indices into whatever the block is about, where only those are known.
        what: it raised, in one line.
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
    """A block in which a component is at work.

    Args:
        part: which component.
        where: it is at work; put in where no inner block has said so.
        photos: on which.

    Raises:
        ComponentRunError: from what the block raised, errors of the run itself and want of memory aside.
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
    """A block whose failures are told with the names that its user knows.

    Args:
        components: names in the config by part: "loss" is `loss 'triplet'`.
        photos: names of all that an error's `photos` are indices into.

    Raises:
        RunError: also of want of memory.
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
    """An error in one line: its message, and its type unless it is one of this library's."""
    return in_one_line(str(error)) if isinstance(error, SiamesekitError) else told(error)


def batch_in_words(epoch: int, number: int, photos: Sequence[str] | None) -> str:
    """Where an error is: `epoch 2, batch 3 (photos a.jpg, b.jpg and 30 more)`.

    Args:
        epoch: counted from 1.
        number: of the batch, counted from 0.
        photos: names of its photos, where they are known.
    """
    return f"epoch {epoch}, batch {number + 1}{photos_in_words(photos)}"


def photos_in_words(photos: Sequence[str] | None) -> str:
    """` (photos a.jpg, b.jpg and 30 more)`, or nothing where their names are not known."""
    return "" if photos is None else f" (photos {first_of(photos, SHOWN_PHOTOS)})"
