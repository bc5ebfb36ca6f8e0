"""Inspects a `torch.export` archive, and packs what was inspected into a new one: only that is loaded.

Packing anew settles what a second parser would make of the first file: names that differ in case, members
hidden between others, formats of an older loader that unpickles.
"""

import io
import json
import re
import zipfile
from pathlib import Path, PurePosixPath

from robust.errors import InvalidInput
from robust.models.archives import checked_members, read_members
from robust.models.file_errors import reading, untrusted
from robust.models.pt2_graph import checked_graph

_FIXED = ("archive_format", "archive_version", "byteorder", ".data/version")
_GRAPH = "models/model.json"
_SAMPLE = "data/sample_inputs/model.pt"
_CONFIGS = ("data/weights/model_weights_config.json", "data/constants/model_constants_config.json")
_TENSOR = re.compile(r"data/(weights/weight_|constants/tensor_)[0-9]+", re.ASCII)
_DROPPED = re.compile(r"extra/.*|\.data/serialization_id|\.format_version|\.storage_alignment", re.ASCII)


def inspected_archive(content: bytes, path: Path) -> bytes:
    """A new archive with the graph, the tensors as raw bytes, and nothing else.

    Args:
        content: The bytes of the `.pt2` file.
        path: Where they came from, for messages.

    Raises:
        UntrustedFile: If it holds pickles, compiled code, or a graph that could run code.
        InvalidInput: If it is no such archive, or exceeds the limits.
    """
    members = checked_members(content, path)
    tops = {PurePosixPath(name).parts[0] for name in members}
    if len(tops) != 1 or not all("/" in name for name in members):
        raise untrusted(
            path, "is a torch.export program in the old format, whose tensors are pickles, which can run code"
        )
    (top,) = tops
    inner = {name.partition("/")[2]: name for name in members}
    missing = [name for name in (*_FIXED, _GRAPH, *_CONFIGS) if name not in inner]
    if missing:
        raise InvalidInput(
            f"{path} is no complete torch.export program (without {', '.join(missing)}): export it again"
        )
    kept = [name for name in inner if name in (*_FIXED, _GRAPH, *_CONFIGS) or _TENSOR.fullmatch(name)]
    for name in inner:
        if name not in kept and name != _SAMPLE and not _DROPPED.fullmatch(name):
            raise untrusted(
                path,
                f"holds {name!r}, neither graph nor tensor: pickled objects and compiled code can run",
            )
    with reading(path, "a torch.export program", remedy="copy or export it again"):
        parts = read_members(content, [inner[name] for name in kept])
        found = {name: parts[inner[name]] for name in kept}
        for name in _CONFIGS:
            _require_raw_tensors(json.loads(found[name]), set(found), PurePosixPath(name).parent, path)
        if _SAMPLE in inner:
            _require_plain_sample(read_members(content, [inner[_SAMPLE]])[inner[_SAMPLE]], path)
        try:
            found[_GRAPH] = checked_graph(found[_GRAPH])
        except InvalidInput as error:
            raise untrusted(path, f"has a graph that could run code: {error}") from error
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
        for name, part in found.items():
            archive.writestr(f"{top}/{name}", part)
        archive.writestr(f"{top}/{_SAMPLE}", b"")  # read by the loader, used by nobody
    return packed.getvalue()


def _require_raw_tensors(config: object, present: set[str], folder: PurePosixPath, path: Path) -> None:
    """Every tensor of a table is raw bytes with a shape: no pickle, no object, no other file."""
    entries = config.get("config") if isinstance(config, dict) else None
    if not isinstance(entries, dict):
        raise InvalidInput(f"{path} has a damaged table of tensors: export it again")
    for tensor, entry in entries.items():
        place = str(folder / str(entry.get("path_name")))
        if entry.get("use_pickle") is not False or not _TENSOR.fullmatch(place):
            raise untrusted(path, f"keeps {tensor[:80]!r} as a pickled object, which can run code")
        if entry.get("tensor_meta") is None or place not in present:
            raise InvalidInput(f"{path} has no bytes or no shape for the tensor {tensor[:80]!r}: export it again")


def _require_plain_sample(sample: bytes, path: Path) -> None:
    """The sample inputs must be tensors alone: the file's own loader would unpickle anything else."""
    from robust.models.plain_tensors import load_plain

    if sample.startswith(b"PK"):
        checked_members(sample, path)
    try:
        if sample:
            load_plain(sample)
    # After any error at all the file's own loader unpickles without restriction; so any error is a refusal.
    except Exception as error:
        raise untrusted(path, "holds sample inputs that are no plain tensors, a pickle that can run code") from error
