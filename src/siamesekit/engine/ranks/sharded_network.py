"""A network whose weights are divided among the processes of a run, by PyTorch's FSDP2 (`fully_shard`).

Each process holds a part of every weight and of its gradient. When a block of the network runs, forward or backward,
its weights are gathered from all processes, and let go again afterwards; its gradient is added over the processes, each
of which keeps its part of the sum. So all processes must run the network together, as often as each other.

The leader alone holds the whole weights, in its main memory, where its optimizer moves them: before a step it deals out
the parts of the weights, and after it takes the parts of their gradients.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor
from torch.utils._pytree import tree_map
from torch.utils.checkpoint import checkpoint

from siamesekit.components.encoders.backbone import Backbone
from siamesekit.components.encoders.lora import forget_plain_layers
from siamesekit.engine.activation_checkpointing import refuse_batch_statistics
from siamesekit.engine.layer_rates import layers_of
from siamesekit.engine.ranks.weights import add_gradients, broadcast, places_by_type
from siamesekit.errors import UserError
from siamesekit.hardware.compute import Compute
from siamesekit.hardware.ranks import LEADER, Ranks
from siamesekit.model import Encoder

Forward = Callable[..., Any]


class ShardedNetwork:
    """This process's part of a backbone.

    Args:
        encoder: the whole encoder. The leader's part is a copy; a process that follows gives its own backbone, whose
            weights are still to come.
        image: one image, uint8 `[1, 3, S, S]`, on which the network is tried.
        compute: device and number format.
        ranks: the connection to the other processes, all of which make their part at the same time.

    Attributes:
        encoder: the encoder with the parts of the weights, without a head.
        blocks: number of blocks that are gathered one at a time.

    Raises:
        UserError: activations are to be computed again, but a BatchNorm uses the batch's statistics; or torch is too
            old.
    """

    def __init__(self, encoder: Encoder, image: Tensor, compute: Compute, ranks: Ranks) -> None:
        if not hasattr(FSDPModule, "set_force_sum_reduction_for_comms"):
            raise UserError(f"train.shard_encoder: torch {torch.__version__} is too old to divide a network: update it")
        self.ranks = ranks
        backbone = (copy.deepcopy(encoder.backbone) if ranks.leads else encoder.backbone).cpu()
        forget_plain_layers(backbone.network)
        self.encoder = Encoder(backbone, nn.Identity(), encoder.batchnorm)
        if encoder.checkpoint_activations:
            refuse_batch_statistics(self.encoder.train().backbone.network)
        self.encoder.eval()
        with torch.no_grad():
            for parameter in backbone.parameters():
                parameter.data = parameter.data.contiguous()  # FSDP2 takes no other order
        blocks = _blocks(backbone, image)
        self.blocks = len(blocks)
        mesh = init_device_mesh(compute.device.type, (ranks.size,))
        numbers = {parameter for parameter in backbone.parameters() if not parameter.ndim}  # FSDP2 divides no number
        for module in (*blocks, backbone):
            module.forward = _without_views(module.forward)
            if encoder.checkpoint_activations and module is not backbone:
                module.forward = partial(_computed_again, module.forward)
            fully_shard(module, mesh=mesh, ignored_params=numbers)
        for module in backbone.modules():
            if isinstance(module, FSDPModule):
                module.set_force_sum_reduction_for_comms(True)  # gloo knows sums only
                module.set_gradient_divide_factor(1.0)  # the sum over the processes, not the mean
        backbone.to(compute.device)

    @property
    def backbone(self) -> Backbone:
        """The backbone, whose parameters are parts of the whole ones."""
        return self.encoder.backbone

    def trained(self) -> list[nn.Parameter]:
        """The parameters that train."""
        return [parameter for parameter in self.backbone.parameters() if parameter.requires_grad]

    @torch.no_grad()
    def take_weights(self, whole: Backbone | None, every: bool) -> None:
        """Take this process's part of the leader's weights; all processes call it at the same time.

        Args:
            whole: the leader's backbone; None on a process that follows.
            every: whether all weights are dealt out, not only those that training changes.
        """
        chosen = [number for number, p in enumerate(self.backbone.parameters()) if every or p.requires_grad]
        shards = _chosen(self.backbone.parameters(), chosen)
        wholes = None if whole is None else _chosen(whole.parameters(), chosen)
        parts = [number for number, shard in enumerate(shards) if isinstance(shard, DTensor)]
        _deal(self.ranks, [_local(shards[n]) for n in parts], None if wholes is None else [wholes[n] for n in parts])
        alike = [shard for shard in shards if not isinstance(shard, DTensor)]
        theirs = [] if wholes is None else [wholes[n] for n in range(len(shards)) if n not in parts]
        if every or self.encoder.batchnorm == "train":
            alike += self.backbone.buffers()
            theirs += [] if whole is None else whole.buffers()
        if whole is not None:
            for own, new in zip(alike, theirs, strict=True):
                own.copy_(new)
        broadcast(self.ranks, alike)

    @torch.no_grad()
    def give_gradients(self, whole: Backbone | None) -> None:
        """Add the gradients of all processes' parts to those of the leader's weights; all call it at the same time.

        Args:
            whole: the leader's backbone; None on a process that follows.
        """
        numbers = [p for p in self.trained() if not isinstance(p, DTensor)]
        if numbers:
            add_gradients(self.ranks, numbers)
        parts = [p for p in self.trained() if isinstance(p, DTensor) and p.grad is not None]
        own = [_local(cast(Tensor, p.grad)) for p in parts]
        if whole is None:
            for group in places_by_type(own):
                self.ranks.send(torch.cat([own[number].reshape(-1) for number in group]).cpu(), LEADER)
            return
        of = dict(zip(self.backbone.parameters(), whole.parameters(), strict=True))
        found = [[each] for each in own]
        for group in places_by_type(own):
            for rank in self.ranks.others:
                shapes = [_shape(parts[number].shape, rank, self.ranks.size) for number in group]
                flat = torch.empty(sum(shape.numel() for shape in shapes), dtype=own[group[0]].dtype)
                self.ranks.receive(flat, rank)
                for number, each in zip(group, _cut(flat, shapes), strict=True):
                    found[number].append(each)
        for part, pieces in zip(parts, found, strict=True):
            _add(of[part], torch.cat([piece.to(of[part].device) for piece in pieces]))
        for parameter in numbers:
            if parameter.grad is not None:
                _add(of[parameter], parameter.grad)

    @torch.no_grad()
    def give_statistics(self, whole: Backbone) -> None:
        """Give the leader's backbone the statistics of BatchNorm, which are the same on all processes."""
        if self.encoder.batchnorm == "train":
            for theirs, own in zip(whole.buffers(), self.backbone.buffers(), strict=True):
                theirs.copy_(own)


def _blocks(backbone: Backbone, image: Tensor) -> list[nn.Module]:
    """The blocks of a network that can be gathered one at a time: called as modules, with weights of their own.

    Args:
        backbone: the backbone, in inference mode.
        image: one image, uint8 `[1, 3, S, S]`.
    """
    network = backbone.network
    blocks = [network.get_submodule(name) for name in dict.fromkeys(layers_of(network)) if name]
    called: Counter[nn.Module] = Counter()
    hooks = [block.register_forward_hook(lambda module, *_: called.update([module])) for block in blocks]
    with torch.no_grad():
        backbone(image.cpu())
    for hook in hooks:
        hook.remove()
    owners = Counter(parameter for block in set(blocks) for parameter in block.parameters())
    return [block for block in blocks if called[block] and all(owners[p] == 1 for p in block.parameters())]


def _computed_again(forward: Forward, *args: Any, **kwargs: Any) -> Any:
    """The result of a block, whose activations are computed again in the backward pass."""
    return checkpoint(forward, *args, use_reentrant=False, **kwargs)


def _without_views(forward: Forward) -> Forward:
    """The forward pass of a module, safe from two traps of views.

    FSDP2 gives a module views of its inputs. A view of one image in the order of channels has another stride than the
    image, and by it PyTorch's BatchNorm computes a wrong gradient on a CPU. And a result that is a view and is changed
    in place later escapes FSDP2, which would not gather the module's weights for the backward pass.
    """

    def run(*args: Any, **kwargs: Any) -> Any:
        args, kwargs = tree_map(_of_usual_strides, (args, kwargs))
        return tree_map(_own, forward(*args, **kwargs))

    return run


def _of_usual_strides(value: Any) -> Any:
    """One image `[1, C, H, W]` in the order of channels as a tensor of its own; any other value as it is."""
    is_image = isinstance(value, Tensor) and value.ndim == 4 and len(value) == 1
    if is_image and value._is_view() and value.is_contiguous(memory_format=torch.channels_last):
        return value.clone(memory_format=torch.channels_last)
    return value


def _own(value: Any) -> Any:
    """A tensor that is a view as a tensor of its own; any other value as it is."""
    return value.clone() if isinstance(value, Tensor) and value._is_view() else value


def _deal(ranks: Ranks, own: Sequence[Tensor], wholes: Sequence[Tensor] | None) -> None:
    """Give each process its part of the leader's tensors, each `[n, …]`, in place.

    Args:
        ranks: the connection to the other processes.
        own: this process's parts.
        wholes: the leader's tensors; None on a process that follows.
    """
    for places in places_by_type(own):
        targets = [own[place] for place in places]
        if wholes is None:
            count = sum(target.numel() for target in targets)
            _fill(targets, ranks.receive(torch.empty(count, dtype=targets[0].dtype), LEADER))
            continue
        for rank in (*ranks.others, LEADER):
            parts = [_part(wholes[place].detach(), rank, ranks.size).reshape(-1).cpu() for place in places]
            if rank == LEADER:
                _fill(targets, torch.cat(parts))
            else:
                ranks.send(torch.cat(parts), rank)


def _fill(targets: Sequence[Tensor], flat: Tensor) -> None:
    """Copy the values `[n]` into tensors, one after the other."""
    for target, new in zip(targets, _cut(flat, [target.shape for target in targets]), strict=True):
        target.copy_(new)


def _cut(flat: Tensor, shapes: Sequence[torch.Size]) -> list[Tensor]:
    """Values `[n]` as tensors of these shapes, one after the other."""
    pieces = flat.split([shape.numel() for shape in shapes])
    return [piece.view(shape) for piece, shape in zip(pieces, shapes, strict=True)]


def _part(whole: Tensor, rank: int, size: int) -> Tensor:
    """The part `[m, …]` of a tensor `[n, …]` that a process holds, as FSDP2 divides it."""
    rows = -(-len(whole) // size)
    return whole[min(len(whole), rank * rows) : (rank + 1) * rows]


def _shape(whole: torch.Size, rank: int, size: int) -> torch.Size:
    """The shape of a process's part of a tensor of the shape `whole`."""
    return _part(torch.empty(whole, device="meta"), rank, size).shape


def _local(parameter: Tensor) -> Tensor:
    """What this process holds of a tensor `[…]`."""
    return parameter.to_local() if isinstance(parameter, DTensor) else parameter


def _add(parameter: Tensor, gradient: Tensor) -> None:
    """Add to the gradient of a parameter, both `[…]`."""
    if parameter.grad is None:
        parameter.grad = torch.empty_like(parameter).copy_(gradient)
    else:
        parameter.grad += gradient.to(parameter.device)


def _chosen(parameters: Iterator[nn.Parameter], places: Sequence[int]) -> list[Tensor]:
    """The parameters at these places."""
    wanted = set(places)
    return [parameter for place, parameter in enumerate(parameters) if place in wanted]
