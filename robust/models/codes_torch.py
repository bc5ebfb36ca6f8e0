"""Whether a torch module takes codes: found by what its embeddings are given, not by the order of its layers."""

import copy
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import numpy as np
import torch
from torch.nn.parameter import is_lazy

from robust.errors import InvalidInput
from robust.types import AnyArray

_TABLES = (torch.nn.Embedding, torch.nn.EmbeddingBag)
_PLAIN = tuple(table.forward for table in _TABLES)  # a subclass may read its rows in its own way
_WIDE = 64
# A wide row has every column that is picked by its number; the others are for modules that split or reshape a row of
# one width only; the last has steps.
_SHAPES = ((2, _WIDE), *((2, width) for width in range(1, _WIDE)), (2, 8, _WIDE))


class _Row(torch.Tensor):  # type: ignore[misc, unused-ignore]
    """What is computed from floating rows in floating numbers; what is rounded or compared is an ordinary tensor."""

    @classmethod
    def __torch_function__(
        cls,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        found = super().__torch_function__(func, types, args, kwargs)  # type: ignore[arg-type, no-untyped-call, unused-ignore]
        if isinstance(found, _Row) and not _is_row(found):
            return found.as_subclass(torch.Tensor)
        return found


class _Seen(Exception):
    """The call has shown what was asked."""


def takes_codes(module: torch.nn.Module, *, device: torch.device, dtype: torch.dtype) -> bool:
    """Whether the rows of a module are whole numbers (token or category codes) and nothing else.

    Only a module whose first layer is an embedding is asked: it is called with floating rows of zeros. It takes codes
    if an embedding is handed those as they are, which torch refuses, or if they are rounded and nothing else is done
    with them. It takes floats if some of them reach another layer with weights, or the outputs, unrounded: then it
    picks its codes out of the rows by itself.

    Args:
        module: It stays as it is: a copy that shares its parameters is called.
        device: Where it lives.
        dtype: Its floating type.

    Returns:
        The answer; True where no call gets far enough to tell.

    >>> words = torch.nn.Sequential(torch.nn.Embedding(9, 4), torch.nn.Flatten(), torch.nn.Linear(8, 3))
    >>> takes_codes(words, device=torch.device("cpu"), dtype=torch.float32)
    True
    """
    if not _starts_with_table(module):
        return False
    inside = module._modules.get("_orig_mod") or module  # of a compiled module, which would be compiled for each shape
    shared = {id(one): one for one in inside.parameters() if not is_lazy(one)}
    try:
        twin = copy.deepcopy(inside, shared).eval()
    except Exception:
        return True
    seen: list[bool] = []
    for part in twin.modules():
        if type(part).forward in _PLAIN:
            part.forward = partial(_look_up, part, seen, dtype)
        elif isinstance(part, _TABLES):
            part.forward = partial(_try_out, part.forward, seen)
        elif any(True for _ in part.parameters(recurse=False)) and not any(True for _ in part.children()):
            part.register_forward_pre_hook(partial(_reach, seen), with_kwargs=True)
    for shape in _SHAPES:
        rows = torch.zeros(shape, device=device, dtype=dtype).as_subclass(_Row)
        try:
            with torch.inference_mode(False), torch.no_grad():
                outputs = twin(rows)
        except Exception:
            if seen:
                return seen[0]
            continue
        return seen[0] if seen else not _is_row(outputs)
    return True


def are_whole(x: AnyArray) -> bool:
    """Whether all numbers are whole.

    >>> are_whole(np.array([[1.0, 2.0]])), are_whole(np.array([[1.5, np.nan]]))
    (True, False)
    """
    return x.dtype.kind != "f" or bool((np.isfinite(x) & (x == np.rint(x))).all())


def require_whole(x: AnyArray, name: str) -> None:
    """Refuse rows that are no codes for a module that takes nothing else: a cast would cut them off.

    Args:
        x: Rows.
        name: Of the module.

    Raises:
        InvalidInput: If a number is not whole.

    >>> require_whole(np.array([[1.0, 2.0]]), "words")
    """
    if x.dtype.kind != "f":
        return
    with np.errstate(invalid="ignore"):
        broken = x[x != np.rint(x)] if np.isfinite(x).all() else x[~np.isfinite(x)]
    if broken.size:
        raise InvalidInput(
            f"{name} starts with an embedding and takes whole numbers (token or category codes), got "
            f"{float(broken.flat[0])!r}: give codes alone, or, where it picks them out of floating rows by itself, "
            "declare the layers that take the other features before the embedding"
        )


def _starts_with_table(module: torch.nn.Module) -> bool:
    """Whether the first layer, in the order of declaration, looks codes up."""
    leaves = (part for part in module.modules() if not list(part.children()))
    return isinstance(next(leaves, None), _TABLES)


def _look_up(
    table: torch.nn.Embedding | torch.nn.EmbeddingBag,
    seen: list[bool],
    dtype: torch.dtype,
    input: torch.Tensor,  # noqa: A002 - torch's own name, which callers may use
    offsets: torch.Tensor | None = None,
    per_sample_weights: torch.Tensor | None = None,  # noqa: ARG001 - as above
) -> torch.Tensor:
    """Zeros in the shape of what a table gives: any code will do, also one that it does not know."""
    if input.is_floating_point():
        seen.append(True)
        raise _Seen
    entries: tuple[int, ...] = tuple(input.shape)
    if isinstance(table, torch.nn.EmbeddingBag):
        entries = entries[:1] if offsets is None else tuple(offsets.shape)
    return torch.zeros(*entries, table.embedding_dim, device=input.device, dtype=dtype)


def _try_out(forward: Callable[..., Any], seen: list[bool], *args: Any, **kwargs: Any) -> Any:
    """A table that reads its rows in its own way: whether it can read floating ones."""
    if not any(_is_row(value) for value in (*args, *kwargs.values())):
        return forward(*args, **kwargs)
    try:
        forward(*args, **kwargs)
    except Exception:
        seen.append(True)
    else:
        seen.append(False)
    raise _Seen


def _reach(seen: list[bool], _layer: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Stop where a layer with weights is handed floating rows."""
    if any(_is_row(value) for value in (*args, *kwargs.values())):
        seen.append(False)
        raise _Seen


def _is_row(value: object) -> bool:
    return isinstance(value, _Row) and value.is_floating_point()
