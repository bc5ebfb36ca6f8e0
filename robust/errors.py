"""The errors that users meet; each says what was wrong and what would be right."""


class RobustError(Exception):
    """Anything that this package raises on purpose."""


class InvalidInput(RobustError, ValueError):
    """A value from outside cannot be used: the message names it and says what would be right."""


class MissingExtra(RobustError, ImportError):
    """A feature needs an optional dependency that is not installed.

    Args:
        feature: What was asked for, as the subject of the message.
        extra: Name of the extra that installs it.
    """

    def __init__(self, feature: str, extra: str) -> None:
        super().__init__(f'{feature} needs an optional dependency: pip install "robust-gates[{extra}]"')
        self.feature = feature
        self.extra = extra

    def __reduce__(self) -> tuple[type["MissingExtra"], tuple[str, str]]:
        """Pickle by the two words, so that a worker process can hand the error on."""
        return type(self), (self.feature, self.extra)


class Inapplicable(InvalidInput):
    """A check does not apply to what it was given: the message says what it would need."""


class UntrustedFile(InvalidInput):
    """A file could execute code when it is loaded, and nobody vouched for it."""


class ModelFault(RobustError):
    """A model broke its contract: it raised, or its outputs are not finite, not repeatable or of a wrong shape."""
