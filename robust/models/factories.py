"""The user's own function that builds a module, imported by name, and the weights for the module."""

import importlib
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import torch

from robust.errors import InvalidInput
from robust.models.foreign_errors import PASSING, brief

_SHOWN = 5


def build_module(factory: str) -> torch.nn.Module:
    """Call `package.module:function` without arguments.

    The factory is the user's own code, as trusted as the program that asks for it; the weights' file has no
    say in it.

    Args:
        factory: Module and function (or class), with a colon between.

    Raises:
        InvalidInput: If there is no such module or function, if its code raises, or if what it returns is no
            `torch.nn.Module`.
    """
    place, colon, function = factory.partition(":")
    if not (place and colon and function):
        raise InvalidInput(f"factory must be 'package.module:function', got {factory!r}")
    try:
        module = _found(factory, place, function)()
    except PASSING:
        raise
    except BaseException as error:
        raise InvalidInput(
            f"factory {factory!r} raised {brief(error)}; it must be importable, and return a torch.nn.Module when it "
            "is called without arguments"
        ) from error
    if not isinstance(module, torch.nn.Module):
        raise InvalidInput(f"factory {factory!r} must return a torch.nn.Module, it returned {type(module).__name__}")
    return module


def _found(factory: str, place: str, function: str) -> Callable[[], object]:
    """Import the function; that runs the user's code already."""
    try:
        module = importlib.import_module(place)
    except ModuleNotFoundError as error:
        if error.name is None or not (place == error.name or place.startswith(f"{error.name}.")):
            raise  # the user's module was found, and imports something that was not
        looked = ", ".join(folder or "the current folder" for folder in sys.path)
        raise InvalidInput(
            f"factory {factory!r}: there is no module {place!r} on Python's import path ({looked}); put its folder on "
            "sys.path or PYTHONPATH (the robust command looks in the config's folder, or the current one, by itself; "
            "Python does not)"
        ) from error
    found: object = module
    for part in function.split("."):
        if not hasattr(found, part):
            # Python's own modules come first: a `code.py` of the user's is never found under that name.
            home = getattr(module, "__file__", None) or "built into Python"
            raise InvalidInput(
                f"factory {factory!r}: module {place!r} ({home}) has no {function!r}; where that is not your file, "
                "give yours a name that no other module has"
            )
        found = getattr(found, part)
    if not callable(found):
        raise InvalidInput(f"factory {factory!r} must be a function that returns a torch.nn.Module, it is {found!r}")
    return found


def fill_module(module: torch.nn.Module, weights: Mapping[str, torch.Tensor], *, path: Path, factory: str) -> None:
    """Put weights into a module: each of its tensors, and none besides.

    Raises:
        InvalidInput: Listing the first names and shapes that differ.
    """
    own = module.state_dict()
    missing, unexpected = (
        [name for name in own if name not in weights],
        sorted(name for name in weights if name not in own),
    )
    shapes = [
        f"{name} {tuple(weights[name].shape)} instead of {tuple(tensor.shape)}"
        for name, tensor in own.items()
        if isinstance(tensor, torch.Tensor) and name in weights and weights[name].shape != tensor.shape
    ]
    problems = [
        f"{kind}: {_some(names)}"
        for kind, names in (("missing", missing), ("unexpected", unexpected), ("of another shape", shapes))
        if names
    ]
    if problems:
        raise InvalidInput(f"the weights of {path} do not fit the module of {factory!r}; {'; '.join(problems)}")
    module.load_state_dict(weights)


def _some(names: list[str]) -> str:
    shown = ", ".join(names[:_SHOWN])
    return shown if len(names) <= _SHOWN else f"{shown}, … ({len(names)} in all)"
