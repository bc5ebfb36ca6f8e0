"""`python -m robust`."""

from robust.cli import main

main()
