"""The verdict: one answer from registry, state and signature, with reasons, a proof and a signed receipt."""

from flask import Flask

from app.core.http import ProblemApi


def install(app: Flask, api: ProblemApi) -> None:
    """Register routes, pages and commands."""
