"""Pages that cross features, and what all pages share: templates, styles, translations."""

from flask import Flask

from app.core.http import ProblemApi
from app.portal import context


def install(app: Flask, api: ProblemApi) -> None:
    """Register routes, pages and commands."""
    context.install(app)
