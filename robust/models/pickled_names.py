"""Names that the pickles in a file would import, read from their opcodes: nothing is unpickled to find out.

They make a refusal say what was found. What may be loaded is not decided here, but by the restricted loaders.
"""

import io
import pickletools
import re
import zipfile
from collections.abc import Iterator

# Tensors and plain containers, as torch writes them and its restricted unpickler reads them.
_TENSORS = re.compile(
    r"collections\.(OrderedDict|Counter)|(__builtin__|builtins)\.(set|bytearray|complex)|_codecs\.encode"
    r"|torch\.([a-z]+\.)*\w*(Storage|Tensor)|torch\.(Size|device|bool|[a-z]+\d+\w*|per_(tensor|channel)_\w+)"
    r"|torch\._utils\._rebuild_\w+|torch\._tensor\._rebuild_from_type_v2|torch\.nn\.parameter\.Parameter"
    r"|torch\.serialization\._get_layout"
)
_STREAM = 5  # a torch checkpoint of the format before zip archives is so many pickles, then raw numbers
_FRONT = 2**20  # bytes read of each pickle, about a second's work; a whole module names its class first
_LONGEST = 80


def beyond_tensors(content: bytes) -> list[str]:
    r"""Functions and classes, other than those that make tensors, that a file's pickles would import.

    Args:
        content: A zip archive, whose members are read, or pickles one after the other.

    Returns:
        Their names, each once, in the order of the file; empty where there are tensors and plain values alone.

    >>> beyond_tensors(b"cos\nsystem\n(Vtrue\ntR.")
    ['os.system']
    """
    names = dict.fromkeys(name for front in _fronts(content) for name in _imported(front))
    return [ascii(name)[1:-1][:_LONGEST] for name in names if not _TENSORS.fullmatch(name)]


def _fronts(content: bytes) -> Iterator[bytes]:
    """The front of whatever could be a pickle."""
    if not content.startswith(b"PK"):
        yield content[:_FRONT]
        return
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        for member in archive.infolist():
            yield archive.open(member).read(_FRONT)


def _imported(content: bytes) -> Iterator[str]:
    """Names that pickles import, up to where they end or cannot be read: all before that would have run."""
    stream = io.BytesIO(content)
    for _ in range(_STREAM):
        texts: list[str] = []
        kept: dict[object, str] = {}
        try:
            for opcode, argument, _ in pickletools.genops(stream):
                if opcode.name in ("GLOBAL", "INST"):
                    yield str(argument).replace(" ", ".", 1)
                elif opcode.name == "STACK_GLOBAL" and len(texts) > 1:
                    yield ".".join(texts[-2:])
                elif isinstance(argument, str):
                    texts.append(argument)
                elif opcode.name == "MEMOIZE" or "PUT" in opcode.name:
                    kept[len(kept) if argument is None else argument] = texts[-1] if texts else ""
                elif "GET" in opcode.name:
                    texts.append(kept.get(argument, ""))
        except (ValueError, UnicodeDecodeError, OverflowError):
            return
