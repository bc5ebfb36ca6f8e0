"""Content hashes of live objects, equal in every process: no addresses and no pickle memo."""

import functools
import hashlib
import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np

from robust.models.code_parts import (
    UnknownContentError,
    class_parts,
    code_parts,
    function_parts,
    module_parts,
)

Plain = Callable[[object], object]
_ATOMS = (type(None), bool, int, str, bytes, complex, type(Ellipsis))


def object_hash(value: object, *, plain: Plain = lambda value: value) -> str | None:
    """SHA-256 of an object's content.

    The walk goes through containers, arrays, attributes (as the object's own `__reduce_ex__` gives them),
    functions and classes. Two objects that predict alike because they were fitted alike hash alike, in any
    process.

    Args:
        value: Any object.
        plain: Says another, simpler object in place of one that only its framework can read (a tensor).

    Returns:
        The hash in hex, or None where something has a content that cannot be read.

    >>> object_hash([1, 2.0]) == object_hash([1, 2.0]), object_hash([1, 2.0]) == object_hash([1, 2])
    (True, False)
    """
    try:
        return _Walk(plain=plain).digest(value).hex()
    except (UnknownContentError, RecursionError):
        return None


@dataclass(slots=True)
class _Walk:
    """One walk: digests of what was seen already, and what is being walked through now."""

    plain: Plain
    known: dict[int, tuple[object, bytes]] = field(default_factory=dict)
    open: list[int] = field(default_factory=list)

    def digest(self, value: object) -> bytes:
        """Digest of one object; within itself, an object is the number of steps back to it."""
        if isinstance(value, float):
            return hashlib.sha256(b"float" + struct.pack("<d", value)).digest()
        if type(value) in _ATOMS:
            return hashlib.sha256(f"{type(value).__name__} {value!r}".encode()).digest()
        if id(value) in self.open:
            return self._join("cycle", [str(len(self.open) - self.open.index(id(value))).encode()])
        if id(value) in self.known:
            return self.known[id(value)][1]
        self.open.append(id(value))
        found = self._composite(value)
        self.open.pop()
        self.known[id(value)] = (value, found)  # the object too: while it lives, its id stays its own
        return found

    def _composite(self, value: object) -> bytes:
        simpler = self.plain(value)
        if simpler is not value:
            return self._join("plain", [self.digest(simpler)])
        if isinstance(value, np.ndarray) and type(value) is np.ndarray:
            return self._array(value)
        if isinstance(value, np.generic):
            return self._join("scalar", [value.dtype.str.encode(), value.tobytes()])
        if isinstance(value, np.random.RandomState):  # its own account adds a seed that it never used
            return self._join("random", [self.digest(value.get_state(legacy=False))])
        if type(value) in (list, tuple):
            return self._join(type(value).__name__, map(self.digest, value))  # type: ignore[call-overload]
        if type(value) is dict:
            return self._join("dict", (self.digest(pair) for pair in value.items()))
        if isinstance(value, (set, frozenset)):
            return self._join("set", sorted(map(self.digest, value)))
        parts = self._code(value)
        return self._join("code", [self.digest(parts)]) if parts is not None else self._object(value)

    def _code(self, value: object) -> object | None:
        """Parts of functions, classes and modules; None for anything else."""
        if isinstance(value, FunctionType):
            return function_parts(value)
        if isinstance(value, type):
            return class_parts(value)
        if isinstance(value, CodeType):
            return code_parts(value)
        if isinstance(value, ModuleType):
            return module_parts(value)
        if isinstance(value, MethodType):
            return ("method", value.__func__, value.__self__)
        if isinstance(value, (classmethod, staticmethod)):
            return (type(value).__name__, value.__func__)
        if isinstance(value, property):
            return ("property", value.fget, value.fset)
        if isinstance(value, functools.partial):
            return ("partial", value.func, value.args, value.keywords)
        if isinstance(value, (BuiltinFunctionType, np.ufunc)):
            return ("builtin", getattr(value, "__module__", None), value.__name__)
        return None

    def _object(self, value: object) -> bytes:
        """Any other object, by what would rebuild it."""
        try:
            parts: Any = value.__reduce_ex__(4)
        # Some objects refuse in their own way; a content that cannot be read is unknown, whatever the words.
        except Exception as error:
            raise UnknownContentError from error
        if isinstance(parts, str):
            return self._join("global", [f"{type(value).__module__} {parts}".encode()])
        builder, arguments, state, items, pairs = (*parts, None, None, None)[:5]
        if isinstance(state, dict):  # attributes: their order says when they were set, not what they are
            state = sorted(state.items(), key=lambda pair: str(pair[0]))
        listed = [None if more is None else list(more) for more in (items, pairs)]
        return self._join("object", map(self.digest, (type(value), builder, arguments, state, *listed)))

    def _array(self, array: np.ndarray[Any, Any]) -> bytes:
        if array.dtype.names is not None:  # field by field: the bytes between fields are whatever was there
            return self._join("record", [self.digest((name, array[name])) for name in array.dtype.names])
        head = repr((array.dtype.str, array.shape)).encode()
        if array.dtype.kind == "O":
            return self._join("objects", [head, *map(self.digest, array.ravel().tolist())])
        return self._join("array", [head, np.ascontiguousarray(array).tobytes()])

    @staticmethod
    def _join(kind: str, parts: Iterable[bytes]) -> bytes:
        """Digest of parts; each with its length, so that no two lists of parts look alike."""
        digest = hashlib.sha256(kind.encode())
        for part in parts:
            digest.update(len(part).to_bytes(8, "little") + part)
        return digest.digest()
