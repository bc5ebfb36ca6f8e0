"""Loads a model file by what it is, and by how far it can be trusted."""

from collections.abc import Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from robust.errors import InvalidInput, MissingExtra
from robust.models.archives import checked_members
from robust.models.base import Model
from robust.models.file_errors import SAFE_FORMATS, reading, unpickling, untrusted
from robust.models.file_format import RUNS_CODE, FileFormat, file_format
from robust.models.options import Options, read_options
from robust.models.pickled_names import beyond_tensors

_PICKLES: tuple[FileFormat, ...] = ("pickle", "compressed pickle")
_SUFFIXES: dict[str, tuple[FileFormat, ...]] = {
    ".onnx": ("other",),
    ".safetensors": ("safetensors file",),
    ".pt": ("torch checkpoint", "TorchScript", "tar checkpoint", *_PICKLES),
    ".pth": ("torch checkpoint", "TorchScript", "tar checkpoint", *_PICKLES),
    ".pt2": ("torch.export program",),
    ".skops": ("skops file",),
    ".pkl": (*_PICKLES, "torch checkpoint", "tar checkpoint"),
    ".pickle": (*_PICKLES, "torch checkpoint", "tar checkpoint"),
    ".joblib": _PICKLES,
}
_NEEDS_TORCH = (".safetensors", ".pt", ".pth", ".pt2")


def load_model(
    path: str | Path,
    *,
    name: str | None = None,
    factory: str | None = None,
    trust: bool = False,
    task: str | None = None,
    classes: Sequence[object] | None = None,
    output: str | None = None,
    batch_size: int | None = None,
) -> Model:
    """Load a model file; what could run code is refused unless somebody vouches for it.

    Args:
        path: `.onnx`; `.safetensors`, `.pt` or `.pth` weights with `factory`; `.pt2` of `torch.export`;
            `.skops`; with `trust` also `.pkl`, `.pickle`, `.joblib`, TorchScript and whole modules.
        name: Shown in reports; the file name where not given.
        factory: `package.module:function`, the user's own function that builds the module for weights.
        trust: The file comes from somebody whose code may run here.
        task: `classification` or `regression`; inferred where it can be.
        classes: Labels behind the columns of the outputs.
        output: What the outputs are: `probabilities`, `logits` or `values`.
        batch_size: Rows a call at most, 256 where not given; a file with a fixed batch keeps its own.

    Returns:
        The model, with the content hash of what was loaded.

    Raises:
        UntrustedFile: If loading could run code and `trust` is not given; nothing has run then.
        InvalidInput: If the file is missing, empty, damaged, of another kind than its name says, or
            unsupported.
        MissingExtra: If the library that reads it is not installed.
    """
    options = read_options(name=name, task=task, classes=classes, output=output, batch_size=batch_size)
    return load_with(Path(path), options, factory=factory, trust=trust)


def load_with(path: Path, options: Options, *, factory: str | None = None, trust: bool = False) -> Model:
    """Load a model file, what the user says about it being read and checked already."""
    content = _read(path)
    kind = file_format(content)
    suffix = path.suffix.lower()
    if kind in RUNS_CODE and not trust:
        raise untrusted(path, f"is a {kind}, which can run code when it is loaded")
    if kind not in _SUFFIXES.get(suffix, ()) and not trust:
        _refuse_hidden_pickle(content, path, kind)
    if suffix not in _SUFFIXES:
        raise InvalidInput(f"{path} has an unknown suffix {suffix!r}; model files are {', '.join(_SUFFIXES)}")
    if kind not in _SUFFIXES[suffix]:
        raise InvalidInput(_mismatch(path, suffix, kind))
    if factory is not None and suffix not in (".safetensors", ".pt", ".pth"):
        raise InvalidInput(f"factory is for weights (.safetensors, .pt, .pth); {path.name} brings its own architecture")
    if options.name is None:
        options = replace(options, name=path.name)
    model = _load(content, path, options, kind=kind, factory=factory, trust=trust)
    return replace(model, content=lambda: content)


def _load(content: bytes, path: Path, options: Options, *, kind: FileFormat, factory: str | None, trust: bool) -> Model:
    """By the name's suffix, which the content agrees with."""
    suffix = path.suffix.lower()
    if suffix == ".onnx":
        return _load_onnx(content, path, options)
    if suffix == ".skops":
        return _load_skops(content, path, options, trust=trust)
    if suffix in _NEEDS_TORCH or kind not in _PICKLES:
        return _load_torch(content, path, options, kind=kind, factory=factory, trust=trust)
    return _load_pickle(content, path, options)


def _read(path: Path) -> bytes:
    """All bytes, once: what is inspected is what is loaded."""
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise InvalidInput(f"{path} does not exist; model files are {', '.join(_SUFFIXES)}") from error
    except IsADirectoryError as error:
        raise InvalidInput(f"{path} is a directory; name the model file in it") from error
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read: {error.strerror}") from error
    if not content:
        raise InvalidInput(f"{path} is empty: copy or save it again")
    return content


def _refuse_hidden_pickle(content: bytes, path: Path, kind: FileFormat) -> None:
    """A better name is no advice for what could run code under that name too."""
    archive = content.startswith(b"PK")
    if archive:
        checked_members(content, path)
    if archive or kind == "torch checkpoint":
        with reading(path, f"a {kind}", remedy="copy or save it again"):
            names = beyond_tensors(content)
        if names:
            raise untrusted(path, f"is a {kind} under another name that holds {unpickling(names)}")


def _mismatch(path: Path, suffix: str, kind: FileFormat) -> str:
    fitting = [known for known, kinds in _SUFFIXES.items() if kind in kinds and kind != "other"]
    if kind == "npz file":
        return f"{path} is an npz file, which is data: models are {', '.join(_SUFFIXES)}"
    if fitting:
        return f"{path} is a {kind} under the name of a {suffix} file: name it {' or '.join(fitting)}"
    return f"{path} is no {suffix} file: it is damaged, truncated or something else; copy or save it again"


def require_library(library: str, suffix: str, extra: str) -> None:
    """Refuse early and by name, without importing anything."""
    try:
        found = find_spec(library) is not None
    except ValueError:  # a module without a specification, or None in its place, which blocks its import
        found = False
    if not found:
        raise MissingExtra(f"loading {suffix}", extra)


def _load_onnx(content: bytes, path: Path, options: Options) -> Model:
    require_library("onnxruntime", ".onnx", "onnx")
    from robust.models.onnx_files import load_onnx

    return load_onnx(content, path, options)


def _load_skops(content: bytes, path: Path, options: Options, *, trust: bool) -> Model:
    from robust.models.skops_files import load_skops

    return _converted(load_skops(content, path, trust=trust), path, options)


def _load_torch(
    content: bytes, path: Path, options: Options, *, kind: FileFormat, factory: str | None, trust: bool
) -> Model:
    require_library("torch", path.suffix.lower(), "torch")
    from robust.models import torch_files

    if kind == "safetensors file":
        require_library("safetensors", path.suffix.lower(), "torch")
        return torch_files.load_safetensors(content, path, options, factory=factory)
    if kind == "torch.export program":
        return torch_files.load_exported(content, path, options, trust=trust)
    if kind == "TorchScript":
        return torch_files.load_torchscript(content, path, options)
    if kind in _PICKLES:
        return _load_pickle(content, path, options)
    return torch_files.load_checkpoint(content, path, options, kind=kind, factory=factory, trust=trust)


def _load_pickle(content: bytes, path: Path, options: Options) -> Model:
    """Only reached with trust."""
    import io

    import joblib  # type: ignore[import-untyped]

    with reading(path, "a pickle", remedy=f"copy or save it again, best as {SAFE_FORMATS}"):
        found: Any = joblib.load(io.BytesIO(content))
    return _converted(found, path, options)


def _converted(found: Any, path: Path, options: Options) -> Model:
    """A model from the object that a file held."""
    from robust.models.conversion import convert

    if isinstance(found, (str, Path)):
        raise InvalidInput(f"{path} holds a {type(found).__name__}, which is no model")
    with reading(path, "a model", remedy=f"the code of its {type(found).__name__} must not raise"):
        try:
            return convert(found, options)
        except InvalidInput as error:
            raise InvalidInput(f"{path}: {error}") from error
