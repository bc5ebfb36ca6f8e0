"""Keeps what attacks found by content hash, together with what it cost."""

from collections.abc import Callable

import numpy as np

from robust.attacks.target import Target
from robust.predicting.metering import count_rows, metered
from robust.predicting.settings import current_settings
from robust.types import AnyArray


def kept(target: Target, *parts: AnyArray | str, compute: Callable[[], AnyArray]) -> AnyArray:
    """A result from the cache, or computed and kept.

    The passes that it cost are kept with it and counted again: a record says what a number costs, not what a
    run did.

    Args:
        target: The classifier and the rows, which are part of the key.
        parts: Everything else that the result depends on.
        compute: Makes the result.

    Returns:
        The result, read-only.
    """
    data, cache = target.data, current_settings().cache
    schema = data.schema
    rules = (schema.names, schema.kinds, schema.groups, schema.categories, schema.relations, target.kind)
    key = target.caller.key(
        *parts, repr(rules), schema.lower, schema.upper, schema.immutable, data.x, target.y, data.row_keys()
    )
    if key is None:
        return _frozen(compute())
    found, cost = cache.get(key), cache.get(f"{key}-cost")
    if found is not None and cost is not None:
        count_rows(forward=int(cost[0]), backward=int(cost[1]))
        return found
    with metered() as meter:
        found = _frozen(compute())
    cache.put(key, found)
    cache.put(f"{key}-cost", np.array([meter.forward_rows, meter.backward_rows]))
    return found


def _frozen(array: AnyArray) -> AnyArray:
    array.flags.writeable = False
    return array
