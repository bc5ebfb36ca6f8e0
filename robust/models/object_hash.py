"""Content hash."""

def object_hash(value: object) -> str | None:
    return None
