"""Cutting a network in two: the frozen part and the part that trains.

The network's graph (torch.fx) is cut where the first trained parameter enters, possibly inside a block: `prefix` gives
the tensors that cross the cut, `tail` continues from them.

A graph records what the network's code does in the mode in which it is traced. Leaf modules are calls in the graph and
still know whether they train, but `F.dropout(x, training=self.training)` is recorded with the value of one mode. Code
that trains and infers with graphs must therefore trace in both modes and compare (`siamesekit.engine.frozen.prefix`).
"""

from __future__ import annotations

import operator
from typing import Any

from torch import Tensor, fx, nn
from torch.nn.modules.batchnorm import _BatchNorm

from siamesekit.engine.random_state import drawn_by


class CannotCutError(Exception):
    """The network has no frozen part that can be separated; the message says why."""


def cut(network: nn.Module) -> tuple[fx.GraphModule, fx.GraphModule]:
    """Cut a network before its first trained parameter, in the network's current mode.

    Returns:
        `prefix`: the network's input → the tuple of tensors that cross the cut. `tail`: these tensors → the network's
        output. Both share the network's parameters.

    Raises:
        CannotCutError: nothing is frozen, the network cannot be traced, or the frozen part draws random numbers or
            depends on the batch.
    """
    parameters = list(network.parameters())
    if not parameters or parameters[0].requires_grad:
        raise CannotCutError("the network trains from its first layer on, so nothing can be cached")
    network = _OneInput(network)
    graph = _trace(network)
    frozen = _frozen_nodes(graph, network)
    crossing = _crossing(graph, frozen)
    prefix = _prefix(network, graph, frozen, crossing)
    for name, module in prefix.named_modules():
        if (reason := why_not_alone(module)) is not None:
            raise CannotCutError(f"{type(module).__name__} {name} in the frozen part {reason}, so nothing is cached")
    return prefix, _tail(network, graph, frozen, crossing)


def whole(network: nn.Module) -> fx.GraphModule:
    """The graph of a whole network, which shares the network's parameters.

    Raises:
        CannotCutError: the network cannot be traced.
    """
    root = _OneInput(network)
    return fx.GraphModule(root, _trace(root))


def why_not_alone(module: nn.Module) -> str | None:
    """Why a module's output for an image depends on more than that image, in its current mode; None if it does not.

    Only the module itself is checked, not its submodules.
    """
    if isinstance(module, _BatchNorm) and (module.training or module.running_mean is None):
        return "uses the batch's statistics"  # timm's BatchNorm has submodules: an activation, a dropout
    return "is random" if module.training and _draws(module) else None


def _draws(module: nn.Module) -> bool:
    """Whether a leaf module draws random numbers in training: dropout, stochastic depth."""
    kind = type(module).__name__.lower()
    if not any(word in kind for word in ("drop", "stochastic")) or any(True for _ in module.children()):
        return False
    rates = [getattr(module, name) for name in ("p", "drop_prob") if isinstance(getattr(module, name, None), float)]
    return not rates or any(rate > 0 for rate in rates)


class _OneInput(nn.Module):
    """A network called with images only; its other arguments keep their defaults in the graph."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        features: Tensor = self.network(images)
        return features


class _Tracer(fx.Tracer):
    """Traces into all modules but torch's own, those that timm marks as not traceable, and leaf modules: recorded as
    one call, a stochastic depth or a dropout still knows whether it trains.
    """

    def __init__(self) -> None:
        try:
            from timm.models._features_fx import get_notrace_functions, get_notrace_modules

            functions, self.leaves = tuple(get_notrace_functions()), tuple(get_notrace_modules())
        except ImportError:  # a timm without these private lists: fewer networks can be traced, none wrongly
            functions, self.leaves = (), ()
        super().__init__(autowrap_functions=functions)

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        whole = isinstance(m, self.leaves) or not any(True for _ in m.children())
        return whole or super().is_leaf_module(m, module_qualified_name)


def _trace(network: nn.Module) -> fx.Graph:
    try:
        graph, drew = drawn_by(lambda: _Tracer().trace(network))
    except Exception as error:  # tracing runs the network's Python code, which may raise anything on a proxy
        raise CannotCutError(f"the network cannot be traced ({error}), so nothing is cached") from error
    if drew:  # the numbers would be constants of the graph
        raise CannotCutError("the network's code draws random numbers, so nothing is cached")
    if any(parent.graph is not graph for node in graph.nodes for parent in node.all_input_nodes):
        raise CannotCutError("the network keeps values from an earlier pass, so nothing is cached")
    for node in reversed(list(graph.nodes)):
        if _is_size(node) and not node.users:
            graph.erase_node(node)
    return graph


def _frozen_nodes(graph: fx.Graph, network: nn.Module) -> set[fx.Node]:
    """The nodes that depend only on the input and on frozen parameters."""
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
    # Computing a step again is better than storing its result if the step is cheap, its inputs cross the cut anyway and
    # only the tail uses its result: the ReLU or LayerNorm at the start of a residual block whose shortcut skips it.
    # Sizes are computed again in any case, because only tensors are stored.
    for node in reversed(list(graph.nodes)):
        crossing = _crossing(graph, frozen)
        only_tail = node in crossing and not any(user in frozen for user in node.users)
        if only_tail and node.op != "placeholder" and _is_cheap(node, network):
            without = _crossing(graph, frozen - {node})
            if len(without) < len(crossing) or _is_size(node):
                frozen.discard(node)
    return frozen


def _is_cheap(node: fx.Node, network: nn.Module) -> bool:
    """Whether a node has no parameters, or is a LayerNorm."""
    if node.op != "call_module":
        return node.op != "get_attr"
    module = network.get_submodule(str(node.target))
    return isinstance(module, nn.LayerNorm) or not any(True for _ in module.parameters())


def _is_size(node: fx.Node) -> bool:
    """Whether a node gives the shape of a tensor, a part of a shape, or a number computed from these."""
    if node.op == "call_method":
        return node.target in ("size", "dim")
    if node.op != "call_function":
        return False
    if node.target is getattr:
        return node.args[1] in ("shape", "ndim")
    of_sizes = bool(node.all_input_nodes) and all(map(_is_size, node.all_input_nodes))
    return of_sizes and getattr(node.target, "__module__", "") == "_operator"


def _crossing(graph: fx.Graph, frozen: set[fx.Node]) -> list[fx.Node]:
    """The frozen nodes, except constants, that nodes outside the frozen part use."""
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
