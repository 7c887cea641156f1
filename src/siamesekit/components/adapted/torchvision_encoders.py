"""Encoders `torchvision/*`: all classification models of torchvision."""

from __future__ import annotations

from typing import Any

from torch import nn
from torchvision.models import MNASNet, get_model, get_model_weights

from siamesekit.components.encoders.backbone import Backbone, fetch, has_parameters
from siamesekit.components.encoders.downloads import from_url
from siamesekit.components.encoders.resizing import Resizing
from siamesekit.registry import ENCODERS

CLASSIFIERS = ("fc", "classifier", "heads", "head")
AUXILIARY = ("aux1", "aux2", "AuxLogits")
"""The auxiliary classifiers of GoogLeNet and Inception."""
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
POOLING = (nn.AdaptiveAvgPool2d, nn.AvgPool2d, nn.Flatten)


@ENCODERS.register("torchvision/*", names="siamesekit.components.adapted.model_names:torchvision_models")
def torchvision_backbone(*, model: str, pretrained: bool = False) -> Backbone:
    """Any classification model of torchvision, without the last layer of its classifier and the dropout before it.

    The name is `torchvision/resnet18`, or `torchvision/resnet50.IMAGENET1K_V2` with a weights tag. Weights `imagenet`
    are those of the tag, or torchvision's default. Earlier layers of a classifier stay: the two layers of 4096 of
    AlexNet and VGG, and the one of MobileNetV3. Auxiliary classifiers of GoogLeNet and Inception are removed.

    Shapes: images `[N, 3, H, W]`, values 0 … 255, scaled by the mean and standard deviation of the weights → features
    `[N, F]`, F being the input size of the removed layer. `vit_*` and `maxvit_t` take one image size only: 224, or that
    of the weights; the others take any size from 75. Blocks: the parts of the model by their names in torchvision.

    Raises:
        MissingWeightsError: the pretrained weights cannot be downloaded.
    """
    name, _, tag = model.partition(".")
    choices = get_model_weights(name)
    weights = choices[tag] if tag else getattr(choices, "DEFAULT", None)
    size = None
    options: dict[str, Any] = {}
    if name.startswith(("vit_", "maxvit_")):
        size = 224 if weights is None else weights.meta["min_size"][0]
    if name.startswith("vit_"):
        options["image_size"] = size  # as in the weights, so that saved weights fit
    if name in ("googlenet", "inception_v3") and not pretrained:
        options["init_weights"] = True

    def create() -> nn.Module:
        if pretrained and weights is not None:
            from_url(weights.url)  # into the folder where torchvision looks
        network: nn.Module = get_model(name, weights=weights if pretrained else None, **options)
        return network

    network = fetch(create, f"torchvision/{model}") if pretrained else create()
    preset = None if weights is None else weights.transforms()
    num_features = remove_classifier(network)
    if isinstance(network, MNASNet):
        network.__class__ = UnversionedMNASNet
    if hasattr(network, "transform_input"):
        # With weights, these models convert ImageNet's scaling to x / 127.5 − 1. Here images get that scaling directly.
        vars(network)["transform_input"] = False
        mean: tuple[float, ...] = (0.5,) * 3
        std: tuple[float, ...] = (0.5,) * 3
    elif preset is None:
        mean, std = IMAGENET_MEAN, IMAGENET_STD
    else:
        mean, std = preset.mean, preset.std
    default_size = None if preset is None else preset.crop_size[0]
    scaling = [255 * m for m in mean], [255 * s for s in std]
    backbone = Backbone(network, num_features, *scaling, size, default_size=default_size)
    if preset is not None:
        side, resized = preset.crop_size[0], preset.resize_size[0]
        backbone.resizing = Resizing((side, side), "center", side / resized, preset.interpolation.value)
    return backbone


def remove_classifier(network: nn.Module) -> int:
    """Remove the auxiliary classifiers and the last layer with weights of a classifier.

    The dropout right before that layer and any activation after it are removed as well.

    Returns:
        The input dimension of the removed layer.
    """
    for name in AUXILIARY:
        if hasattr(network, name):
            setattr(network, name, None)
            vars(network)["aux_logits"] = False
    place = next(name for name in CLASSIFIERS if hasattr(network, name))
    classifier = getattr(network, place)
    parts = dict(classifier.named_children()) if isinstance(classifier, nn.Sequential) else {"": classifier}
    layers = list(parts.items())
    last = max(index for index, (_, layer) in enumerate(layers) if has_parameters(layer))
    removed = layers[last][1]
    if len(layers) == 1 and isinstance(getattr(network, "dropout", None), nn.Dropout):
        network.dropout = nn.Identity()  # in GoogLeNet and Inception it is outside the classifier
    before = layers[:last]
    while before and isinstance(before[-1][1], nn.Dropout):
        before.pop()
    after = [(name, layer) for name, layer in layers[last + 1 :] if isinstance(layer, POOLING)]
    kept = nn.Sequential()
    for name, layer in [*before, *after]:
        kept.add_module(name, layer)
    setattr(network, place, kept if len(kept) else nn.Identity())
    return int(removed.in_channels if isinstance(removed, nn.Conv2d) else removed.in_features)


class UnversionedMNASNet(MNASNet):  # type: ignore[misc]
    """MNASNet that loads weights without torchvision's version entry, which safetensors files do not have."""

    _load_from_state_dict = nn.Module._load_from_state_dict
