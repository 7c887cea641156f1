"""The projection of an encoder, fitted to the features that its backbone gives the training photos."""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from conftest import FP32
from siamesekit import LinearDiscriminantAnalysis, LinearMap
from siamesekit.components.encoders.head import Head
from siamesekit.components.encoders.weights import calibrate_batchnorm
from siamesekit.engine.closed_form import features_of, fit_projection, set_linear, unfitted
from siamesekit.engine.frozen.prefix import store
from siamesekit.engine.frozen.stored import Stored
from siamesekit.engine.training import embed_stored
from siamesekit.errors import PluginError
from siamesekit.model import Architecture, Encoder, build

LABELS = torch.tensor([0, 0, 0, 1, 1, 1, 2, 2, 2, 2])
IMAGES = torch.randint(0, 256, (10, 3, 32, 32), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)


@pytest.fixture(params=[True, False], ids=["normalized", "plain"])
def made(request: pytest.FixtureRequest) -> Iterator[tuple[Encoder, Stored]]:
    """A frozen encoder whose head is a projection to two dimensions, with normalized features or without."""
    torch.manual_seed(0)
    options = {"layers": (), "projection": 2, "normalize_features": request.param}
    encoder = build(Architecture("timm/test_resnet", {}, options, "inference"))
    calibrate_batchnorm(encoder.backbone.network, iter([encoder.backbone.scale(IMAGES)]))
    encoder.backbone.freeze_before("head")
    encoder.eval()
    return encoder, store(encoder, IMAGES, FP32)


def test_embeddings_are_those_of_the_map_fitted_by_hand(made: tuple[Encoder, Stored]) -> None:
    encoder, stored = made
    photos = torch.tensor([0, 1, 3, 4, 5, 6, 7, 9])
    fit_projection(encoder, stored, FP32, LinearDiscriminantAnalysis(2), photos, LABELS[photos])
    with torch.no_grad():
        features = encoder.backbone(IMAGES).double()
        embeddings = encoder(IMAGES)
    if "normalize_features" in dict(encoder.head.named_children()):
        features = features / features.norm(dim=1, keepdim=True)
    expected = LinearDiscriminantAnalysis(2)(features[photos], LABELS[photos])(features)
    expected = expected / expected.norm(dim=1, keepdim=True)
    torch.testing.assert_close(embeddings.double(), expected, atol=2e-4, rtol=0)


def test_features_are_those_of_the_backbone_and_the_head_stays(made: tuple[Encoder, Stored]) -> None:
    encoder, stored = made
    head = encoder.head
    with torch.no_grad():
        expected = encoder.backbone(IMAGES)
    torch.testing.assert_close(features_of(encoder, stored, torch.arange(10), FP32), expected, atol=1e-4, rtol=1e-4)
    assert encoder.head is head


def test_before_the_fit_the_embeddings_are_the_normalized_features(made: tuple[Encoder, Stored]) -> None:
    encoder, stored = made
    features = features_of(encoder, stored, torch.arange(10), FP32)
    with unfitted(encoder):
        found = embed_stored(encoder, stored, torch.arange(10), FP32)
    torch.testing.assert_close(found, features / features.norm(dim=1, keepdim=True))


def test_before_the_fit_a_head_with_further_layers_embeds_as_it_is(made: tuple[Encoder, Stored]) -> None:
    encoder, stored = made
    encoder.head = Head(encoder.backbone.num_features, (3,), projection=2).eval()
    with torch.no_grad():
        expected = encoder(IMAGES)
    with unfitted(encoder):
        found = embed_stored(encoder, stored, torch.arange(10), FP32)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ("mean", "matrix", "expected"),
    [
        (torch.zeros(3), torch.zeros(3, 4), r"a mean \[3\] and a matrix \[3, 4\]; expected \[3\] and \[3, 2\]"),
        (torch.zeros(2), torch.zeros(3, 2), r"a mean \[2\]"),
        (torch.zeros(3), torch.full((3, 2), torch.inf), "NaN or infinite"),
    ],
)
def test_a_map_that_does_not_fit_is_refused(mean: Tensor, matrix: Tensor, expected: str) -> None:
    with pytest.raises(PluginError, match=expected):
        set_linear(nn.Linear(3, 2), LinearMap(mean, matrix))
