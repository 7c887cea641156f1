"""The sample to which the model of identification is fitted in a large catalogue."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from siamesekit.errors import UserError
from siamesekit.gallery import identification_sample
from siamesekit.gallery.identification_sample import sample
from siamesekit.gallery.identifying import fit_identification
from siamesekit.gallery.promise import promise
from siamesekit.gallery.search import Gallery

OWNER = np.repeat(np.arange(40), 3)
MIDDLES = torch.randn(40, 6, generator=torch.Generator().manual_seed(0))
GALLERY = Gallery(
    MIDDLES[OWNER] + 0.2 * torch.randn(120, 6, generator=torch.Generator().manual_seed(1)), np.arange(1, 121), OWNER
)
TRAINED = np.arange(40) >= 8


def test_a_small_gallery_is_taken_whole() -> None:
    part, left = sample(GALLERY, TRAINED)
    assert part is GALLERY and left.tolist() == list(range(40))


@pytest.mark.parametrize(("photos", "individuals", "expected"), [(1000, 20, 20), (30, 1000, 10), (100, 10, 10)])
def test_individuals_are_taken_with_all_their_photos_and_half_of_them_did_not_train(
    photos: int, individuals: int, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(identification_sample, "PHOTOS", photos)
    monkeypatch.setattr(identification_sample, "INDIVIDUALS", individuals)
    part, left = sample(GALLERY, TRAINED)
    assert len(left) == expected and len(part) == 3 * expected
    assert (~TRAINED[left]).sum() == min(8, individuals // 2)
    kept = np.flatnonzero(np.isin(OWNER, left))
    np.testing.assert_array_equal(part.photos, kept + 1)
    np.testing.assert_array_equal(left[part.individuals], OWNER[kept])
    assert torch.equal(part.embeddings, GALLERY.embeddings[torch.from_numpy(kept)])


def test_a_promise_beyond_the_sample_is_refused_and_the_note_says_its_size(monkeypatch: pytest.MonkeyPatch) -> None:
    from siamesekit.components.distances.euclidean import euclidean

    monkeypatch.setattr(identification_sample, "INDIVIDUALS", 20)
    none = np.zeros(40, np.bool_)
    part, left = sample(GALLERY, none)
    fitted = fit_identification(part, euclidean, none[left]).sampled(len(left), ~none)
    assert fitted.note.endswith("in galleries of up to 20 of the 40 individuals") and fitted.untrained == 40
    assert promise(fitted, 0.1, 20).false_known == 0.1
    with pytest.raises(UserError, match=r"40 individuals are searched, and it is measured in galleries of up to 19"):
        promise(fitted, 0.1, 40)
    assert replace(fitted, note="") == replace(fitted.sampled(40, ~none), note="")
