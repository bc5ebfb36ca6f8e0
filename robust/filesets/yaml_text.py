"""YAML as plain data: no objects, no references, no key twice."""

from importlib import import_module
from typing import Any

from robust.errors import InvalidInput

#: Tables and lists inside each other; options need three.
_DEEPEST = 20


def read_yaml(text: str, *, name: str) -> Any:
    """Read a YAML document that holds nothing but maps, lists, texts, numbers, bools and dates.

    Args:
        text: The document.
        name: What messages call it.

    Returns:
        Plain data.

    Raises:
        InvalidInput: If it is no YAML, has references (a few lines of which can stand for billions of values), tags
            that stand for objects, several documents, a key twice, or more than 20 levels; or PyYAML is not installed.

    >>> read_yaml("a: {b: [1, True]}", name="example")
    {'a': {'b': [1, True]}}
    """
    try:
        # By name: it has no types of its own, and is needed for this alone.
        yaml = import_module("yaml")
    except ImportError as error:
        raise InvalidInput(f"{name} is YAML, which needs PyYAML: install it, or write the same as .toml") from error
    try:
        depth = 0
        # Event by event: what must not be is refused before it costs anything.
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > _DEEPEST:
                raise InvalidInput(
                    f"{name}, line {event.start_mark.line + 1}: more than {_DEEPEST} tables in each other"
                )
            if isinstance(event, yaml.AliasEvent):
                raise InvalidInput(
                    f"{name}, line {event.start_mark.line + 1}: references (*{event.anchor}) are not taken"
                )
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        if node is None:
            return None
        _refuse_twins(node, name)
        return loader.construct_document(node)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        if isinstance(error, InvalidInput):
            raise
        raise InvalidInput(f"{name} is no YAML of plain data: {' '.join(str(error).split())[:300]}") from error


def _refuse_twins(root: Any, name: str) -> None:
    """A key that comes twice would hide what the first says."""
    pending = [root]
    while pending:
        node = pending.pop()
        if node.id == "sequence":
            pending += node.value
        elif node.id == "mapping":
            seen: set[str] = set()
            for key, value in node.value:
                word = str(key.value)
                if word in seen:
                    raise InvalidInput(f"{name}, line {key.start_mark.line + 1}: {word} comes twice in one table")
                seen.add(word)
                pending.append(value)
