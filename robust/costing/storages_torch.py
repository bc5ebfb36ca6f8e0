"""The memory behind torch's tensors."""

import torch

from robust.costing.liveness import Buffer

PLAIN = (torch.Tensor, torch.nn.Parameter, torch.nn.Buffer)
_COMPRESSED_ROWS = (torch.Tensor.values, torch.Tensor.crow_indices, torch.Tensor.col_indices)
_COMPRESSED_COLUMNS = (torch.Tensor.values, torch.Tensor.ccol_indices, torch.Tensor.row_indices)
#: What a sparse tensor of each layout stores: its values, and their places.
SPARSE = {
    torch.sparse_coo: (torch.Tensor._values, torch.Tensor._indices),
    torch.sparse_csr: _COMPRESSED_ROWS,
    torch.sparse_bsr: _COMPRESSED_ROWS,
    torch.sparse_csc: _COMPRESSED_COLUMNS,
    torch.sparse_bsc: _COMPRESSED_COLUMNS,
}


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
