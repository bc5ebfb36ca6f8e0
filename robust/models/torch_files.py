"""Loads what torch and safetensors write: weights, exported programs, and, on trust, whole modules."""

import hashlib
import io
import pickle
import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch

from robust.errors import InvalidInput
from robust.models.adapter_exported import exported_model
from robust.models.adapter_torch import torch_model
from robust.models.archives import checked_members
from robust.models.base import Model
from robust.models.factories import build_module, fill_module
from robust.models.file_errors import reading, unpickling, untrusted
from robust.models.file_format import FileFormat
from robust.models.options import Options
from robust.models.pickled_names import beyond_tensors
from robust.models.plain_tensors import load_plain
from robust.models.pt2_archive import inspected_archive
from robust.models.quantized_operators_torch import define_quantized_operators

_NEEDS_FACTORY = (
    "holds weights alone; say which function builds the module: factory='package.module:function' "
    "(it is called without arguments)"
)


def load_safetensors(content: bytes, path: Path, options: Options, *, factory: str | None) -> Model:
    """Weights in the safetensors format, put into the module that the factory builds.

    Raises:
        InvalidInput: Without a factory, or if the file is damaged or does not fit.
    """
    from safetensors.torch import load

    if factory is None:
        raise InvalidInput(f"{path} {_NEEDS_FACTORY}")
    with reading(path, "a safetensors file", remedy="copy or save it again"):
        weights = load(content)
    return _filled(weights, path, options, factory)


def load_checkpoint(
    content: bytes, path: Path, options: Options, *, kind: FileFormat, factory: str | None, trust: bool
) -> Model:
    """A `state_dict` with the factory that builds its module; with trust, also a whole module.

    Raises:
        UntrustedFile: If it holds more than tensors and plain containers, and nobody vouched for it.
        InvalidInput: Without a factory, or if the file is damaged or does not fit.
    """
    if content.startswith(b"PK"):
        checked_members(content, path)
    with reading(path, "a torch checkpoint", remedy="copy or save it again"):
        try:
            # The restricted unpickler does not read tar archives; they come here with trust alone.
            found = _load_anything(content) if kind == "tar checkpoint" else load_plain(content)
        except pickle.UnpicklingError as error:
            if not trust:
                raise untrusted(path, f"is {unpickling(beyond_tensors(content))}") from error
            found = _load_anything(content)
    if isinstance(found, torch.nn.Module):
        return torch_model(found, options)
    if not isinstance(found, Mapping) or not all(isinstance(key, str) for key in found):
        raise InvalidInput(
            f"{path} holds a {type(found).__name__}; a state_dict, a mapping from names to tensors, is needed"
        )
    if factory is None:
        raise InvalidInput(f"{path} {_NEEDS_FACTORY}")
    nested = [key for key in ("state_dict", "model_state_dict") if isinstance(found.get(key), Mapping)]
    return _filled(found[nested[0]] if nested else found, path, options, factory)


def load_exported(content: bytes, path: Path, options: Options, *, trust: bool) -> Model:
    """A program of `torch.export`: what was inspected of it, or all of it where somebody vouched for it."""
    checked = content if trust else inspected_archive(content, path)
    define_quantized_operators(checked)
    with reading(path, "a torch.export program", remedy=f"export it again with torch {torch.__version__}"):
        program = torch.export.load(io.BytesIO(checked))
    return exported_model(program, options, digest=hashlib.sha256(content).hexdigest())


def load_torchscript(content: bytes, path: Path, options: Options) -> Model:
    """A TorchScript archive that somebody vouched for."""
    with reading(path, "a TorchScript archive", remedy="copy or save it again"), warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # torch's, of the format: the user chose it long ago
        model = torch_model(torch.jit.load(io.BytesIO(content), map_location="cpu"), options)
    digest = hashlib.sha256(content).hexdigest()
    return replace(model, identity=lambda: digest)


def _load_anything(content: bytes) -> object:
    """Only reached with trust."""
    found: object = torch.load(io.BytesIO(content), map_location="cpu", weights_only=False)
    return found


def _filled(weights: Mapping[str, torch.Tensor], path: Path, options: Options, factory: str) -> Model:
    strange = [name for name, tensor in weights.items() if not isinstance(tensor, torch.Tensor)]
    if strange:
        raise InvalidInput(f"{path} holds {strange[0]!r}, which is no tensor: save model.state_dict() alone")
    module = build_module(factory)
    # The module may have its own ways to take weights, which are the user's code too.
    with reading(path, f"weights of {factory!r}", remedy="its module must take what its own state_dict gives"):
        fill_module(module, weights, path=path, factory=factory)
    return torch_model(module, options)
