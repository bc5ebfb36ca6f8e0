"""Tensors in what torch modules take and give: alone, or in tuples, lists and dictionaries of any depth."""

import copy
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch.nn.utils.rnn import PackedSequence


def tensors(given: Any) -> Iterator[torch.Tensor]:
    """All tensors in nested arguments."""
    if isinstance(given, torch.Tensor):
        yield given
    elif isinstance(given, PackedSequence):  # what else it holds says how its rows are packed
        yield given.data
    elif isinstance(given, dict):
        for one in given.values():
            yield from tensors(one)
    elif isinstance(given, list | tuple):
        for one in given:
            yield from tensors(one)


def first_tensor(output: Any) -> torch.Tensor | None:
    """The tensor that a model's output is judged by: the first, where it gives several."""
    return next(tensors(output), None)


def distinct_tensors(output: Any) -> tuple[torch.Tensor, ...]:
    """The tensors that a layer gives, each once, in their order: of an LSTM its states, the last one, and the cell."""
    return tuple({id(tensor): tensor for tensor in tensors(output)}.values())


def key_of(call: str, place: int) -> str:
    """What one of the tensors of a call is asked for by.

    >>> key_of("lstm#1", 0), key_of("lstm#1", 2)
    ('lstm#1', 'lstm#1[2]')
    """
    return f"{call}[{place}]" if place else call


def with_others(output: Any, others: Mapping[int, torch.Tensor]) -> Any:
    """An output of the same form with other tensors.

    Args:
        output: What a layer gives.
        others: What takes the place of a tensor, by the identity of the one that it replaces.

    >>> states, last = torch.zeros(1), torch.zeros(2)
    >>> with_others((states, {"h": [last]}), {id(last): torch.ones(2)})
    (tensor([0.]), {'h': [tensor([1., 1.])]})
    """
    if isinstance(output, torch.Tensor):
        return others.get(id(output), output)
    if isinstance(output, dict):
        made = copy.copy(output)
        for name, one in output.items():
            made[name] = with_others(one, others)
        return made
    if not isinstance(output, list | tuple):
        return output
    parts = [with_others(one, others) for one in output]
    return type(output)(*parts) if hasattr(output, "_fields") else type(output)(parts)
