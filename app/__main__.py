"""`python -m app` is the `marchamo` command."""

from app.cli import main

main()
