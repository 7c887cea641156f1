"""Activation checkpointing: what a block computes in the forward pass is computed again in the backward pass.

Between the passes only the inputs of the blocks are held, and in the backward pass the activations of one block at a
time (Chen et al. 2016, arXiv:1604.06174). The same operations run on the same numbers, random ones included, so
gradients are the same to the bit (`tests/engine/test_activation_checkpointing.py`). A step takes one more forward pass.

It helps where chunks of a batch do not: if a batch must be encoded whole, or if a single photo takes too much memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, fx, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint

from siamesekit.errors import UserError

OPTION = "train.checkpoint_activations"


class _Segment(NamedTuple):
    """A part of a graph that runs at once: the nodes of a block.

    Attributes:
        graph: the values of `inputs` → the tuple of the values of `outputs`.
        inputs: names of the values that it uses.
        outputs: names of the values that later segments use.
        done: names of the inputs that no later segment uses.
    """

    graph: fx.GraphModule
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    done: tuple[str, ...]


def refuse_batch_statistics(network: nn.Module) -> None:
    """Refuse a network whose BatchNorm uses the batch's statistics, which it would count twice.

    Raises:
        UserError: there is such a BatchNorm.
    """
    for name, module in network.named_modules():
        if isinstance(module, _BatchNorm) and module.training:
            raise UserError(
                f"{OPTION}: BatchNorm {name} would count the statistics of each batch twice: set "
                'encoder.batchnorm = "inference"'
            )


class Segments:
    """A graph that runs block by block; all blocks but the last are computed again in the backward pass.

    Args:
        part: the graph, in the mode in which it trains; its parameters are shared.
        blocks: successive blocks of the network, with all modules that the graph calls in them.

    Attributes:
        recomputes: whether blocks are computed again; if not, all activations are held.
        running: number of the segment that runs now, or ran last.
        inputs: bytes of the inputs of all segments in the last run, by the address of their memory.

    Raises:
        UserError: a BatchNorm of the graph uses the batch's statistics, which it would count twice.
    """

    def __init__(self, part: fx.GraphModule, blocks: Sequence[nn.Module]) -> None:
        refuse_batch_statistics(part)
        self.recomputes = True
        self.running = 0
        self.inputs: dict[int, int] = {}
        self._given = [node.name for node in part.graph.nodes if node.op == "placeholder"]
        self._result = _result_of(part.graph).name
        self._segments = _segments(part, blocks)

    def __call__(self, *inputs: Tensor) -> Tensor:
        """Run the graph on its inputs.

        Raises:
            UserError: a block changes its input in place, so that it cannot be computed again.
        """
        values: dict[str, Any] = dict(zip(self._given, inputs, strict=True))
        self.inputs = {}
        last = len(self._segments) - 1
        for number, segment in enumerate(self._segments):
            self.running = number
            given = [values[name] for name in segment.inputs]
            for name in segment.done:
                del values[name]
            tensors = [each for each in given if isinstance(each, Tensor)]
            self.inputs |= {each.untyped_storage().data_ptr(): each.untyped_storage().nbytes() for each in tensors}
            versions = [] if torch.is_inference_mode_enabled() else [each._version for each in tensors]
            if self.recomputes and torch.is_grad_enabled() and number < last:
                found = checkpoint(segment.graph, *given, use_reentrant=False)
            else:
                found = segment.graph(*given)
            if versions and versions != [each._version for each in tensors]:
                raise UserError(f"{OPTION}: the network changes the input of a block in place: remove this option")
            values.update(zip(segment.outputs, found, strict=True))
        result: Tensor = values[self._result]
        return result


def _segments(part: fx.GraphModule, blocks: Sequence[nn.Module]) -> list[_Segment]:
    """The nodes of a graph in groups that begin where another block begins."""
    block_of = {module: number for number, block in enumerate(blocks) for module in block.modules()}
    groups: list[list[fx.Node]] = [[]]
    reached = -1
    for node in part.graph.nodes:
        if node.op in ("placeholder", "output"):
            continue
        if node.op == "call_module":  # a folded convolution holds the modules of the block
            called = part.get_submodule(str(node.target)).modules()
            number = max(block_of.get(module, -1) for module in called)
            if number > reached and any(each.op == "call_module" for each in groups[-1]):
                groups.append([])
            reached = max(reached, number)
        groups[-1].append(node)
    group_of = {node: number for number, group in enumerate(groups) for node in group}
    result = _result_of(part.graph)
    last_use = {node: max((group_of.get(user, -1) for user in node.users), default=-1) for node in part.graph.nodes}
    found = []
    for number, group in enumerate(groups):
        used = dict.fromkeys(each for node in group for each in node.all_input_nodes if group_of.get(each) != number)
        outputs = [node for node in group if last_use[node] > number or node is result]
        copy = fx.Graph()
        made: dict[fx.Node, fx.Node] = {node: copy.placeholder(node.name) for node in used}
        for node in group:
            made[node] = copy.node_copy(node, made.__getitem__)
        copy.output(tuple(made[node] for node in outputs))
        done = tuple(node.name for node in used if last_use[node] == number and node is not result)
        inputs, names = tuple(node.name for node in used), tuple(node.name for node in outputs)
        found.append(_Segment(fx.GraphModule(part, copy), inputs, names, done))
    return found


def _result_of(graph: fx.Graph) -> fx.Node:
    """The node whose value the graph returns."""
    output: fx.Node = next(node for node in graph.nodes if node.op == "output")
    (result,) = output.all_input_nodes
    return result
