"""Reads checkpoints with torch's restricted unpickler, which knows tensors and plain containers alone."""

import io
import warnings

import torch


def load_plain(content: bytes) -> object:
    """What a torch checkpoint holds, on the CPU.

    Raises:
        pickle.UnpicklingError: If it holds anything but tensors and plain containers.
        RuntimeError: If its archive is damaged; other errors come from damaged pickles.
    """
    with warnings.catch_warnings():
        # torch warns of pickle protocols that it does not write; what they lead to is an error of its own.
        warnings.filterwarnings("ignore", message="Detected pickle protocol", category=UserWarning)
        found: object = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    return found
