"""Privacy: what is kept about whom, for how long, and how a person gets it or has it erased.

This is the one feature that looks into the tables of all others, by their names and never by their classes: what it
knows of them is data (`personal_tables`, `retention_rules`), and tests hold that data against every table there is.
"""

from flask import Flask

from app.core.http import ProblemApi


def install(app: Flask, _api: ProblemApi) -> None:
    """Register pages."""
    from app.privacy import pages  # noqa: PLC0415  routes need the application's packages loaded

    app.register_blueprint(pages.blueprint)
