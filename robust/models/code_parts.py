"""Describes functions and classes by what they do, so that a cached result never outlives an edit.

A user's own code is described by its bytecode, its constants, and, recursively, what it refers to. Code of an
installed package is described by the package's version.
"""

import dis
import hashlib
import sys
import sysconfig
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from types import CodeType, FunctionType, ModuleType

_GLOBAL = frozenset({"LOAD_GLOBAL", "LOAD_NAME"})
_SKIPPED = frozenset({"__dict__", "__weakref__", "__doc__", "__module__", "__firstlineno__", "__static_attributes__"})


class UnknownContentError(Exception):
    """Something whose content cannot be told, so that nothing that depends on it may be cached."""


def function_parts(function: FunctionType) -> object:
    """What decides what a function returns: code, defaults, closure, and the globals that it reads."""
    if (package := installed(function.__module__)) is not None:
        return ("function", package, function.__module__, function.__qualname__)
    try:
        cells = [cell.cell_contents for cell in function.__closure__ or ()]
    except ValueError as error:  # a cell that is still empty
        raise UnknownContentError from error
    scope = function.__globals__
    read = {name: scope[name] for name in sorted(set(_globals(function.__code__))) if name in scope}
    return ("function", function.__code__, function.__defaults__, function.__kwdefaults__, cells, read)


def class_parts(kind: type) -> object:
    """What decides how a class behaves: its bases and everything that it defines."""
    if (package := installed(kind.__module__)) is not None:
        return ("class", package, kind.__module__, kind.__qualname__)
    defined = {name: value for name, value in sorted(vars(kind).items()) if name not in _SKIPPED}
    return ("class", kind.__qualname__, kind.__bases__, defined)


def code_parts(code: CodeType) -> object:
    """A code object without what changes nothing: file, lines, names of variables."""
    return (
        "code",
        code.co_code,
        code.co_consts,
        code.co_names,
        code.co_argcount,
        code.co_kwonlyargcount,
        code.co_flags,
    )


def module_parts(module: ModuleType) -> object:
    """A module by its version, or by its source file and those of the user's modules that it refers to.

    Raises:
        UnknownContentError: If a module of the user's has no source file.
    """
    waiting, found = [module], dict[str, str]()
    while waiting:
        one = waiting.pop()
        if one.__name__ in found:
            continue
        package = installed(one.__name__)
        found[one.__name__] = _source(one) if package is None else package
        if package is None:
            waiting += _neighbours(one)
    return ("module", module.__name__, sorted(found.items()))


def installed(name: str | None) -> str | None:
    """Name and version of the installed package that a module belongs to; None for the user's own modules.

    Raises:
        UnknownContentError: If the package does not say its version.
    """
    root = (name or "").partition(".")[0]
    if root in sys.stdlib_module_names and root != "__main__":
        return f"python {sys.version}"
    module = sys.modules.get(root)
    file = getattr(module, "__file__", None)
    if file is None or not any(Path(file).is_relative_to(sysconfig.get_path(key)) for key in ("purelib", "platlib")):
        return None
    version = getattr(module, "__version__", None)
    if version is None:
        try:
            version = metadata.version(root)
        except metadata.PackageNotFoundError as error:
            raise UnknownContentError from error
    return f"{root} {version}"


def _globals(code: CodeType) -> Iterator[str]:
    """Names that a code object and those inside it read from their module."""
    for instruction in dis.get_instructions(code):
        if instruction.opname in _GLOBAL:
            yield str(instruction.argval)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _globals(constant)


def _neighbours(module: ModuleType) -> Iterator[ModuleType]:
    """Modules that a module refers to, by itself or through something imported from them."""
    for value in list(vars(module).values()):
        if isinstance(value, ModuleType):
            yield value
        elif isinstance(value, (FunctionType, type)) and value.__module__ in sys.modules:
            yield sys.modules[value.__module__]


def _source(module: ModuleType) -> str:
    """Content hash of a module's file."""
    file = getattr(module, "__file__", None)
    try:
        return hashlib.sha256(Path(str(file)).read_bytes()).hexdigest()
    except OSError as error:
        raise UnknownContentError from error
