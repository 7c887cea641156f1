"""Advice on memory: options that the config's components have, and that are not set so already."""

from collections.abc import Callable

import pytest

from siamesekit.config import Config
from siamesekit.errors import UserError
from siamesekit.experiment.memory_advice import for_memory, for_one_photo, let_batches_be_cut, smaller_batches
from siamesekit.experiment.running import check

DROPOUT = "Dropout head.dropout1 is random"


@pytest.mark.parametrize(
    ("sampler", "says"),
    [
        ("{name='p-by-k'}", "lower sampler.individuals or sampler.photos"),
        ("{name='random-triplets'}", "lower sampler.batch_size"),
        ("{name='all-pairs'}", "lower sampler.batch_size"),
        ("{name='pml/m-per-class', m=4}", "lower sampler.batch_size"),
    ],
)
def test_batches_are_made_smaller_by_what_their_sampler_has(
    small_config: Callable[..., Config], sampler: str, says: str
) -> None:
    assert smaller_batches(small_config(f"sampler={sampler}")) == says


def test_only_what_makes_batches_whole_is_to_be_changed(small_config: Callable[..., Config]) -> None:
    config = small_config("encoder.head.dropout=0.5")
    assert let_batches_be_cut(config, DROPOUT) == "set encoder.head.dropout = 0.0"
    assert let_batches_be_cut(config, None) is None
    config = small_config("encoder.head.dropout=0.5", "encoder.batchnorm=train")
    assert let_batches_be_cut(config, DROPOUT) == 'set encoder.batchnorm = "inference" and encoder.head.dropout = 0.0'
    assert for_memory(small_config(), "it is so").endswith(
        ", raise train.memory_gib, or set train.checkpoint_activations = true"
    )
    for override in ("encoder.batchnorm=train", "train.checkpoint_activations=true"):
        assert "checkpoint" not in for_memory(small_config(override), "it is so") + for_one_photo(
            small_config(override)
        )


def test_a_run_with_dropout_that_does_not_fit_is_told_of_the_dropout(small_config: Callable[..., Config]) -> None:
    config = small_config("encoder.head.dropout=0.5", "train.memory_gib=0.001", "sampler={name='p-by-k'}")
    with pytest.raises(UserError) as error:
        check(config, device="cpu", precision="fp32")
    message = str(error.value)
    assert "because Dropout head.dropout" in message
    assert message.endswith(
        "lower sampler.individuals or sampler.photos, raise train.memory_gib, set train.checkpoint_activations = true, "
        "or set encoder.head.dropout = 0.0"
    )
    assert "train.memory_gib allows 1.02 MiB" in message


def test_a_photo_that_does_not_fit_alone_is_told_of_checkpointing(small_config: Callable[..., Config]) -> None:
    with pytest.raises(UserError, match=r"raise it, set train\.checkpoint_activations = true, or lower data\.size$"):
        check(small_config("train.memory_gib=0.0000001", "sampler={name='p-by-k'}"), device="cpu", precision="fp32")
