"""Which torch tensors are their own numbers."""

import torch

_ORDINARY = (torch.Tensor, torch.nn.Parameter)


def is_plain(tensor: torch.Tensor) -> bool:
    """Whether what a tensor holds can be read off it, element by element.

    Args:
        tensor: A weight. A quantized one, or one of a type of its own, says itself how it multiplies; one on the device
            `meta` holds nothing.

    >>> is_plain(torch.zeros(2)), is_plain(torch.zeros(2, device="meta")), is_plain(torch.eye(2).to_sparse())
    (True, False, False)
    """
    stored = tensor.layout is torch.strided and tensor.device.type != "meta"
    return type(tensor) in _ORDINARY and stored and not tensor.is_quantized
