"""The two kinds of fact: events, which change something, and scans, which observe something."""

from flask import Flask

from app.core.http import ProblemApi


def install(app: Flask, api: ProblemApi) -> None:
    """Register routes, pages and commands."""
