"""The memory behind torch's tensors."""

import torch

from robust.costing.liveness import Buffer

PLAIN = (torch.Tensor, torch.nn.Parameter, torch.nn.Buffer)


def storages(tensor: torch.Tensor) -> dict[Buffer, int]:
    """Address and bytes of the memory behind a tensor; of each part, where it is made of several.

    Args:
        tensor: Any tensor.
    """
    if hasattr(tensor, "__tensor_flatten__") and type(tensor) not in PLAIN:
        parts: dict[Buffer, int] = {}
        for name in tensor.__tensor_flatten__()[0]:
            parts |= storages(getattr(tensor, name))
        return parts
    try:
        storage = tensor.untyped_storage()
    except (NotImplementedError, RuntimeError):  # sparse and other tensors without one
        return {id(tensor): tensor.numel() * tensor.element_size()}
    return {storage._cdata: storage.nbytes()}
