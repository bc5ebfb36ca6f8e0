"""What the bytes of an ONNX file say, beyond what a session tells."""

import hashlib
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OnnxContent:
    """The bytes of an ONNX file."""

    content: bytes

    def identity(self) -> str | None:
        """Content hash of the file."""
        return hashlib.sha256(self.content).hexdigest()

    def weights(self) -> str | None:
        """Content hash of the initialisers."""
        return None

    def classes(self) -> list[object] | None:
        """Labels of a classifier's columns."""
        return None
