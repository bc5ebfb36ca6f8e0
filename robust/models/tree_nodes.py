"""Checks decision trees from strangers: compiled code follows their indices without looking.

scikit-learn's trees are arrays of nodes with the positions of both children and of the feature to compare. A
position outside its array reads foreign memory, or ends the process, when the tree predicts. A tree is
accepted if every index stays inside, and every inner node's children come after it, as scikit-learn writes
them, so that no walk can loop.
"""

import hashlib
import io
import json
import zipfile
from collections.abc import Iterator
from typing import Any

import numpy as np

from robust.errors import InvalidInput
from robust.types import AnyArray

TREE = "sklearn.tree._tree.Tree"
_MOST_CLASSES = 10**6
# These hand rows to their trees without comparing widths, or write into arrays sized by another attribute.
_UNCHECKED = ("sklearn.ensemble._gb", "sklearn.ensemble._iforest")
_STATE = frozenset({"max_depth", "node_count", "nodes", "values"})


def check_stored_trees(content: bytes) -> None:
    """Check each tree of a `.skops` file before it is built.

    Args:
        content: The file's bytes.

    Raises:
        InvalidInput: If a tree's arrays do not fit together or point outside themselves, or if two parts of
            the file go by one id and differ, so that what is checked is not what is built.
    """
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        schema = json.loads(archive.read("schema.json"))
        _require_one_meaning(schema, archive, {})
        for node in _stored(schema):
            _check_stored(node, archive)


def check_trees(estimator: object) -> None:
    """Check that each tree is asked about as many features only as the rows have.

    Raises:
        InvalidInput: If a tree's owner is unknown, or is narrower than the features that the tree compares.
    """
    owned: set[int] = set()
    found: list[int] = []
    for part in _parts(estimator):
        kind = type(part)
        if kind.__module__ == "sklearn.tree._tree":
            found.append(id(part))
        elif kind.__module__ in _UNCHECKED:
            raise InvalidInput(f"{kind.__name__} does not check its trees against its rows")
        elif kind.__module__ == "sklearn.tree._classes":
            if hasattr(part, "tree_"):  # the template in an ensemble has none
                _check_width(part.tree_, part)
                owned.add(id(part.tree_))
        elif kind.__module__ == "sklearn.ensemble._forest":
            for member in part.estimators_:
                _check_width(member.tree_, part)
    if not set(found) <= owned:
        raise InvalidInput("a tree belongs to no decision tree estimator")


def _require_one_meaning(value: object, archive: zipfile.ZipFile, seen: dict[object, bytes]) -> bytes:
    """Digest of a part without its ids; parts with one id must be equal: the loader builds one for all.

    Ids of the parts inside may differ: each description of an object may make new parts. Arrays count by
    their content.
    """
    digest = hashlib.sha256(type(value).__name__.encode())
    if isinstance(value, dict):
        for key, item in value.items():
            if key == "file" and isinstance(item, str):
                digest.update(hashlib.sha256(archive.read(item)).digest())
            elif key != "__id__":
                digest.update(json.dumps(key).encode() + _require_one_meaning(item, archive, seen))
        mark = value.get("__id__")
        if mark and seen.setdefault(mark, digest.digest()) != digest.digest():
            raise InvalidInput("two different parts go by one id")
    elif isinstance(value, list):
        for item in value:
            digest.update(_require_one_meaning(item, archive, seen))
    else:
        digest.update(json.dumps(value).encode())
    return digest.digest()


def _stored(value: object) -> Iterator[dict[str, Any]]:
    """Descriptions of trees in a file's schema."""
    if isinstance(value, dict):
        if value.get("__loader__") == "TreeNode":
            yield value
        elif value.get("__class__") == "Tree" and value.get("__loader__") != "TypeNode":
            raise InvalidInput("a tree is described in an unknown way")
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _stored(item)


def _check_stored(node: dict[str, Any], archive: zipfile.ZipFile) -> None:
    arguments, state = node["__reduce__"]["args"], node["content"]
    if arguments["__loader__"] != "TupleNode" or len(arguments["content"]) != 3 or state["__loader__"] != "DictNode":
        raise InvalidInput("a tree is described in an unknown way")
    if set(state["content"]) != _STATE:
        raise InvalidInput(f"a tree has the state {sorted(state['content'])} instead of {sorted(_STATE)}")
    width, outputs = _number(arguments["content"][0]), _number(arguments["content"][2])
    classes = _array(arguments["content"][1], archive)
    nodes, values = _array(state["content"]["nodes"], archive), _array(state["content"]["values"], archive)
    count = _number(state["content"]["node_count"])
    if (
        classes.shape != (outputs,)
        or classes.dtype.kind not in "iu"
        or not np.all((classes >= 1) & (classes <= _MOST_CLASSES))
    ):
        raise InvalidInput(f"a tree of {outputs} outputs has class counts of shape {classes.shape}")
    if nodes.shape != (count,) or nodes.dtype.names is None or values.shape != (count, outputs, int(classes.max())):
        raise InvalidInput(f"a tree of {count} nodes has arrays of shapes {nodes.shape} and {values.shape}")
    _check_nodes(nodes["left_child"], nodes["right_child"], nodes["feature"], width)


def _check_nodes(left: AnyArray, right: AnyArray, feature: AnyArray, width: int) -> None:
    """Leaves have the child −1; an inner node's children come after it, its feature is one of the row's."""
    place, inner = np.arange(len(left)), left != -1
    for child in (left, right):
        if np.any(child[inner] <= place[inner]) or np.any(child[inner] >= len(left)):
            raise InvalidInput("a tree has a node whose children are not behind it in the same tree")
    if np.any(feature[inner] < 0) or np.any(feature[inner] >= width):
        raise InvalidInput(f"a tree of {width} features compares another one")


def _check_width(tree: Any, owner: Any) -> None:
    width = getattr(owner, "n_features_in_", None)
    if type(tree).__module__ != "sklearn.tree._tree" or type(width) is not int:
        raise InvalidInput(f"{type(owner).__name__} has no tree or does not say how many features it takes")
    inner = tree.children_left != -1
    if np.any(tree.feature[inner] >= width):
        raise InvalidInput(f"{type(owner).__name__} takes {width} features, its tree compares more")


def _parts(root: object) -> Iterator[Any]:
    """Everything reachable through attributes, lists, dicts and arrays of objects, each once."""
    waiting, seen = [root], set()
    while waiting:
        part = waiting.pop()
        if id(part) in seen or isinstance(part, (str, bytes, int, float, type(None), type)):
            continue
        seen.add(id(part))
        yield part
        if isinstance(part, np.ndarray):
            waiting += part.ravel().tolist() if part.dtype.kind == "O" else []
        elif isinstance(part, dict):
            waiting += [*part.keys(), *part.values()]
        elif isinstance(part, (list, tuple, set)):
            waiting += part
        waiting += vars(part).values() if hasattr(part, "__dict__") else []


def _number(node: dict[str, Any]) -> int:
    value = json.loads(node["content"]) if node["__loader__"] == "JsonNode" else None
    if type(value) is not int or value < 1:
        raise InvalidInput(f"a tree has {value!r} where a count belongs")
    return value


def _array(node: dict[str, Any], archive: zipfile.ZipFile) -> AnyArray:
    if node["__loader__"] != "NdArrayNode" or node["type"] != "numpy":
        raise InvalidInput("a tree has something else where an array belongs")
    array: AnyArray = np.load(io.BytesIO(archive.read(node["file"])), allow_pickle=False)
    return array
