"""Entry point (being built)."""
def main() -> None:
    """Run."""
