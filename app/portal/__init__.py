"""Pages that cross features, and what all pages share: templates, styles, translations."""

from flask import Flask

from app.core.http import ProblemApi


def install(app: Flask, api: ProblemApi) -> None:
    """Register pages, filters and the variables of templates."""
    from app.portal import (  # noqa: PLC0415  pages need the packages of the features loaded
        advice_pages,
        alarm_pages,
        api_docs,
        check_pages,
        context,
        goods_pages,
        import_pages,
        job_pages,
        pages,
        public_pages,
        revocation_pages,
        sentences,
        signing_pages,
        words,
    )

    context.install(app)
    words.install(app)
    sentences.install(app)
    app.jinja_env.filters["expiry_date"] = goods_pages.expiry_date
    app.jinja_env.globals.update(
        acts_for=check_pages.acts_for,
        countries_to_choose=check_pages.countries_to_choose,
        last_country=check_pages.last_country,
        new_key=check_pages.new_key,
    )
    for module in (
        alarm_pages,
        public_pages,
        check_pages,
        pages,
        goods_pages,
        signing_pages,
        revocation_pages,
        advice_pages,
        import_pages,
        job_pages,
    ):
        app.register_blueprint(module.blueprint)
    app.register_blueprint(api_docs.make_blueprint(api))
