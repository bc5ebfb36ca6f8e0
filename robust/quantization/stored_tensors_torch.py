"""Tensors that a torch module stores, and what is known of a tensor that was made of them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import torch
from torch.utils._pytree import tree_leaves

from robust.costing.storages_torch import PLAIN, SPARSE


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Root:
    """A stored tensor, or one of those that a tensor of a type of its own is made of.

    Args:
        owner: What the module holds.
        part: The tensor itself.
    """

    owner: torch.Tensor
    part: torch.Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Origin:
    """What a tensor was made of, where no input took part.

    Args:
        roots: Stored tensors by identity, each with the bits that its numbers were rounded to on the way: 0 where they
            were not, infinitely many where nobody knows.
        unpacked: Whether bits were picked out of words on the way.
        recast: Bits of the floating type that stored bytes were read as; 0 where they were not.
    """

    roots: Mapping[int, float] = field(default_factory=dict)
    unpacked: bool = False
    recast: int = 0

    def __or__(self, other: "Origin") -> "Origin":
        roots = {one: max(self.roots.get(one, 0.0), other.roots.get(one, 0.0)) for one in {*self.roots, *other.roots}}
        return Origin(roots, self.unpacked or other.unpacked, max(self.recast, other.recast))

    def rounded(self, bits: float) -> "Origin":
        """The same after its numbers were rounded."""
        return replace(self, roots=dict.fromkeys(self.roots, bits))


#: None is what depends on the input.
Source: TypeAlias = Origin | None


def held_tensors(part: torch.nn.Module) -> Iterator[torch.Tensor]:
    """Parameters, buffers and plain attributes of one module, its children's aside."""
    named = (*part._parameters.values(), *part._buffers.values())
    plain = [value for key, value in vars(part).items() if key not in ("_parameters", "_buffers", "_modules")]
    seen: set[int] = set()
    for leaf in (*named, *tree_leaves(plain)):
        if isinstance(leaf, torch.Tensor) and id(leaf) not in seen:
            seen.add(id(leaf))
            yield leaf


def roots_of(tensor: torch.Tensor) -> Iterator[Root]:
    """A tensor, or those that one of a type of its own is made of.

    Args:
        tensor: A stored one.
    """
    if hasattr(tensor, "__tensor_flatten__") and type(tensor) not in PLAIN and tensor.layout not in SPARSE:
        for name in tensor.__tensor_flatten__()[0]:
            for inner in roots_of(getattr(tensor, name)):
                yield Root(owner=tensor, part=inner.part)
    else:
        yield Root(owner=tensor, part=tensor)


def is_mask(part: torch.Tensor) -> bool:
    """Whether a tensor says yes or no.

    Args:
        part: Any tensor.
    """
    if part.dtype is torch.bool:
        return True
    plain = part.layout is torch.strided and not part.is_quantized and part.device.type != "meta"
    return plain and bool(((part == 0) | (part == 1)).all())
