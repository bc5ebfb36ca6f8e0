"""What two models are, so that one is not compared with itself unawares."""

import hashlib
import os
from pathlib import Path
from typing import Any

from robust.models.base import Model


def identity_of(model: Any) -> str:
    """Content hash of a model as it was given; empty where it cannot be known."""
    if isinstance(model, Model):
        return model.identity() or ""
    if not isinstance(model, str | os.PathLike):
        return ""
    try:
        return hashlib.sha256(Path(model).read_bytes()).hexdigest()
    except OSError:
        return ""  # whoever loads it says what is wrong with it


def compared_with_itself(reference: Any, candidate: Any, *, alike: bool) -> str | None:
    """Why a comparison is one of a model with itself, or None.

    Args:
        reference: As the caller gave it; one object given twice is taken as meant.
        candidate: Likewise.
        alike: Whether both answered bit for bit alike.

    Returns:
        The reason: equal files, or equal weights and equal answers.
    """
    if reference is candidate and not isinstance(reference, str | os.PathLike):
        return None
    if isinstance(reference, Model) and isinstance(candidate, Model):
        weights = reference.weights(), candidate.weights()
        same = alike and None not in weights and weights[0] == weights[1]
        return "both hold bit-equal weights and answer alike: this compares a model with itself" if same else None
    files = identity_of(reference), identity_of(candidate)
    same = "" not in files and files[0] == files[1]
    return "both are the same file: this compares a model with itself" if same else None
