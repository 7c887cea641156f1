"""`python -m siamesekit`."""

from siamesekit.cli import main

main()
