"""What an ONNX file says beyond what a session tells: hashes, and the labels of a classifier."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from robust.errors import InvalidInput

_LABELS = ("classlabels_int64s", "classlabels_ints", "classlabels_strings")


@dataclass(frozen=True, kw_only=True, eq=False)
class OnnxContent:
    """The bytes of an ONNX file, parsed when something is asked.

    Args:
        content: The bytes.
        path: Where they came from; tensors kept outside are beside it.
    """

    content: bytes
    path: Path

    def identity(self) -> str | None:
        """Content hash of the file and of the files that it keeps tensors in."""
        return self._identity

    def weights(self) -> str | None:
        """Content hash of the weights by content and not by name; None where there are none."""
        return self._weights

    def classes(self) -> list[int | str] | None:
        """Labels of the columns, in the graph's order; None where it names none."""
        found = None
        for node in self._parsed.graph.node:
            for attribute in node.attribute:
                if attribute.name in _LABELS and (attribute.ints or attribute.strings):
                    found = [*attribute.ints, *(text.decode() for text in attribute.strings)]
        return found

    def nodes_of(self, operator: str) -> str:
        """Names of the nodes of an operator, `domain:type`, in words."""
        domain, _, kind = operator.rpartition(":")
        nodes = [
            n for n in self._parsed.graph.node if n.op_type == kind and domain in (n.domain, n.domain or "ai.onnx")
        ]
        names = [f"node {(node.name or node.output[0])!r}" for node in nodes[:3]]
        return ", ".join(names) + (f" and {len(nodes) - 3} more" if len(nodes) > 3 else "") or "a node inside another"

    def outside(self) -> list[Path]:
        """Files that hold tensors of this one.

        Raises:
            InvalidInput: If one of them is not in the model's own folder.
        """
        folder = self.path.parent.resolve()
        names = {
            entry.value
            for tensor in _tensors(self._parsed.graph)
            for entry in tensor.external_data
            if entry.key == "location"
        }
        for name in sorted(names):
            if not (folder / name).resolve().is_relative_to(folder):
                raise InvalidInput(
                    f"{self.path} keeps tensors in {name!r}, outside its own folder: move them beside it"
                )
        return [folder / name for name in sorted(names)]

    @cached_property
    def _parsed(self) -> Any:
        import onnx

        return onnx.load_model_from_string(self.content)

    @cached_property
    def _identity(self) -> str:
        digest = hashlib.sha256(self.content)
        for path in self.outside():
            digest.update(hashlib.sha256(path.read_bytes()).digest())
        return digest.hexdigest()

    @cached_property
    def _weights(self) -> str | None:
        from onnx import numpy_helper

        digests = []
        for tensor in _tensors(self._parsed.graph):
            array = numpy_helper.to_array(tensor, base_dir=str(self.path.parent))
            head = repr((array.dtype.str, array.shape)).encode()
            digests.append(hashlib.sha256(head + array.tobytes()).hexdigest())
        for node in self._parsed.graph.node:
            if node.domain == "ai.onnx.ml":  # classical models keep their numbers in attributes
                digests.append(hashlib.sha256(_attributes(node)).hexdigest())
        return hashlib.sha256("".join(sorted(digests)).encode()).hexdigest() if digests else None


def _tensors(graph: Any) -> Iterator[Any]:
    """Initialisers and constants of a graph and of the graphs inside it."""
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors
            for inner in (attribute.g, *attribute.graphs):
                yield from _tensors(inner)


def _attributes(node: Any) -> bytes:
    """A node's operator and attributes, in the order of their names."""
    parts = sorted(attribute.SerializeToString(deterministic=True) for attribute in node.attribute)
    return b"".join([node.op_type.encode(), *parts])
