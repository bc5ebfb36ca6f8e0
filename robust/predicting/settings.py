"""How predictions are made in this run: where they are cached, and in how many shards."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from robust.errors import InvalidInput
from robust.predicting.cache import ArrayCache


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Settings of a run.

    Args:
        cache: Where predictions and adversarial rows are kept by content hash.
        shards: Pieces that rows are cut into, on block boundaries; the answers have the same bits for any number.
    """

    cache: ArrayCache = field(default_factory=ArrayCache)
    shards: int = 1

    def __post_init__(self) -> None:
        """Refuse a number of shards that cannot be."""
        if self.shards < 1:
            raise InvalidInput(f"shards must be at least 1, got {self.shards}")


_settings: ContextVar[Settings] = ContextVar("robust_settings")
_default = Settings()


def current_settings() -> Settings:
    """The settings in force; by default one shard, and a cache in memory."""
    return _settings.get(_default)


@contextmanager
def using(settings: Settings) -> Iterator[None]:
    """Use other settings inside the block."""
    token = _settings.set(settings)
    try:
        yield
    finally:
        _settings.reset(token)
