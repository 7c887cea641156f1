"""The frozen part of a backbone, run once per image.

A backbone that trains from some block on computes the same thing before it in every epoch. The network's graph
(torch.fx) is cut where the first trained parameter enters: `prefix` gives the tensors that cross the cut, `tail`
goes on from them. With deterministic input, and the frozen part in inference mode as `Encoder` keeps it, training
from stored prefix outputs is exact (`tests/engine/test_frozen_prefix.py`).
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn

from siamesekit.engine.precision import Precision
from siamesekit.model import Encoder
from siamesekit.progress import Progress

CHUNK = 64
"""Images encoded at a time where no gradient is needed."""


@dataclass(frozen=True)
class Stored:
    """What is kept of all N images: tensors `[N, …]` and the function that embeds a selection of them.

    Attributes:
        tensors: the prefix's outputs, or the images themselves.
        embed: those tensors, indexed by image → embeddings `[n, D]`.
        why: what is stored and why.
        cached: whether the frozen part's output is what is stored.
    """

    tensors: tuple[Tensor, ...]
    embed: Callable[[Sequence[Tensor]], Tensor]
    why: str
    cached: bool

    def embeddings(self, images: Tensor, precision: Precision) -> Tensor:
        """Embeddings `[n, D]` of the images `[n]` (indices), with gradient if enabled."""
        chosen = [tensor[images.to(tensor.device)].to(precision.device) for tensor in self.tensors]
        with precision.autocast():
            return self.embed(chosen)

    @property
    def bytes(self) -> int:
        """Size of what is stored."""
        return sum(tensor.numel() * tensor.element_size() for tensor in self.tensors)


def store(encoder: Encoder, images: Tensor, precision: Precision, progress: Progress | None = None) -> Stored:
    """Run the frozen part of the encoder's backbone over all images `[N, 3, H, W]` and keep its output.

    Where there is no frozen part, or it cannot be separated, the images themselves are kept and the whole network
    runs; `why` says so.
    """
    images = images.contiguous(memory_format=torch.channels_last)
    encoder.train(False)
    try:
        prefix, tail = cut(encoder.backbone.network)
    except CannotCutError as error:
        return Stored((images,), lambda tensors: encoder(tensors[0]), str(error), cached=False)

    def embed(tensors: Sequence[Tensor]) -> Tensor:
        return encoder.embed_features(tail(*tensors))

    def run_prefix(chunk: Tensor) -> tuple[Tensor, ...]:
        with torch.no_grad(), precision.autocast():
            outputs: tuple[Tensor, ...] = prefix(encoder.backbone.scale(chunk.to(precision.device)))
        return outputs

    first = run_prefix(images[:1])
    if not all(isinstance(output, Tensor) and output.shape[0] == 1 for output in first):
        why = "the frozen part gives more than a tensor per image, so nothing is cached"
        return Stored((images,), lambda tensors: encoder(tensors[0]), why, cached=False)
    kept = tuple(
        torch.empty(
            (len(images), *output.shape[1:]), dtype=output.dtype,
            memory_format=torch.channels_last if output.dim() == 4 else torch.contiguous_format,
        )
        for output in first
    )  # fmt: skip
    starts = range(0, len(images), CHUNK)
    for start in _tracked(starts, len(images), progress):
        for target, output in zip(kept, run_prefix(images[start : start + CHUNK]), strict=True):
            target[start : start + CHUNK] = output
    return Stored(kept, embed, "the frozen part's output is cached", cached=True)


class CannotCutError(Exception):
    """Why a network has no frozen part that can be separated."""


def cut(network: nn.Module) -> tuple[fx.GraphModule, fx.GraphModule]:
    """Cut a network before its first trained parameter.

    Returns:
        `prefix`: the network's input → the tuple of tensors that cross the cut; `tail`: those → the network's
        output. Both share the network's parameters.

    Raises:
        CannotCutError: nothing is frozen, or the network cannot be traced.
    """
    parameters = list(network.parameters())
    if not parameters or parameters[0].requires_grad:
        raise CannotCutError("the network trains from its first layer on, so nothing can be cached")
    network = _OneInput(network)
    try:
        graph = _trace(network)
    except Exception as error:  # tracing runs the network's own Python, which may raise anything on a proxy
        raise CannotCutError(f"the network cannot be traced ({error}), so nothing is cached") from error
    frozen = _frozen_nodes(graph, network)
    crossing = _crossing(graph, frozen)
    return _prefix(network, graph, frozen, crossing), _tail(network, graph, frozen, crossing)


class _OneInput(nn.Module):
    """A network called with images alone: in its graph its other arguments are their defaults."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        features: Tensor = self.network(images)
        return features


class _Tracer(fx.Tracer):
    """Goes into every module but torch's own, those that timm marks as not traceable, and those without modules in
    them: called as a whole, a stochastic depth or a dropout still knows whether it trains.
    """

    def __init__(self) -> None:
        try:
            from timm.models._features_fx import get_notrace_functions, get_notrace_modules

            functions, self.leaves = tuple(get_notrace_functions()), tuple(get_notrace_modules())
        except ImportError:  # a timm without that private list: fewer networks trace, none wrongly
            functions, self.leaves = (), ()
        super().__init__(autowrap_functions=functions)

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        whole = isinstance(m, self.leaves) or not any(True for _ in m.children())
        return whole or super().is_leaf_module(m, module_qualified_name)


def _trace(network: nn.Module) -> fx.Graph:
    return _Tracer().trace(network)


def _frozen_nodes(graph: fx.Graph, network: nn.Module) -> set[fx.Node]:
    """The nodes that depend on the input and on frozen parameters only."""
    frozen: set[fx.Node] = set()
    for node in graph.nodes:
        if node.op == "output" or not all(parent in frozen for parent in node.all_input_nodes):
            continue
        if node.op == "call_module":
            module = network.get_submodule(str(node.target))
            if any(parameter.requires_grad for parameter in module.parameters()):
                continue
        if node.op == "get_attr":
            value = operator.attrgetter(str(node.target))(network)
            if getattr(value, "requires_grad", False):
                continue
        frozen.add(node)
    # A step without parameters, whose inputs cross the cut anyway and whose result only the tail uses, is cheaper
    # done again than stored: the ReLU at the start of a residual block whose shortcut needs the plain values.
    for node in reversed(list(graph.nodes)):
        crossing = _crossing(graph, frozen)
        only_tail = node in crossing and not any(user in frozen for user in node.users)
        if only_tail and node.op != "placeholder" and not _has_parameters(node, network):
            without = _crossing(graph, frozen - {node})
            if len(without) < len(crossing):
                frozen.discard(node)
    return frozen


def _has_parameters(node: fx.Node, network: nn.Module) -> bool:
    if node.op == "get_attr":
        return True
    return node.op == "call_module" and any(True for _ in network.get_submodule(str(node.target)).parameters())


def _crossing(graph: fx.Graph, frozen: set[fx.Node]) -> list[fx.Node]:
    """The frozen nodes that something outside the frozen part uses, constants excepted."""
    return [
        node
        for node in graph.nodes
        if node in frozen and node.op != "get_attr" and any(user not in frozen for user in node.users)
    ]


def _prefix(network: nn.Module, graph: fx.Graph, frozen: set[fx.Node], crossing: list[fx.Node]) -> fx.GraphModule:
    copy = fx.Graph()
    made: dict[fx.Node, fx.Node] = {}
    for node in graph.nodes:
        if node in frozen:
            made[node] = copy.node_copy(node, made.__getitem__)
    copy.output(tuple(made[node] for node in crossing))
    prefix = fx.GraphModule(network, copy)
    prefix.graph.eliminate_dead_code()
    prefix.recompile()
    return prefix


def _tail(network: nn.Module, graph: fx.Graph, frozen: set[fx.Node], crossing: list[fx.Node]) -> fx.GraphModule:
    copy = fx.Graph()
    made: dict[fx.Node, Any] = {node: copy.placeholder(node.name) for node in crossing}
    for node in graph.nodes:
        if node not in made and (node not in frozen or node.op == "get_attr"):
            made[node] = copy.node_copy(node, made.__getitem__)
    return fx.GraphModule(network, copy)


def _tracked(starts: Sequence[int], images: int, progress: Progress | None) -> Iterator[int]:
    """Chunk starts, shown as images."""
    shown = (progress or Progress()).track(range(images), images, "Encoding the frozen part", "images")
    for start in starts:
        yield start
        for _ in range(min(CHUNK, images - start)):
            next(shown, None)
    next(shown, None)
