"""Products, batches, units and their codes: what a firm registers, commissions and prints."""

from flask import Flask

from app.core.http import ProblemApi


def install(app: Flask, api: ProblemApi) -> None:
    """Register routes, pages and commands."""
