"""The page of advice on keys: the guide docs/guides/<language>/keys.md as it stands, which the package brings along."""

from functools import cache
from pathlib import Path

from flask import Blueprint, render_template
from markdown_it import MarkdownIt
from markupsafe import Markup

from app.core.authorisation import Permission, requires
from app.core.i18n import choose_language

blueprint = Blueprint("advice_pages", __name__)

_GUIDES = Path(__file__).parent / "guides"


@blueprint.get("/organisation/keys/advice")
@requires(Permission.ORGANISATION_READ)
def keys_advice() -> str:
    """What to do when a key is lost or stolen, when somebody leaves, when a machine breaks."""
    return render_template("accounts/key_advice.html", advice=_shown(choose_language(), "keys"))


@cache
def _shown(language: str, name: str) -> Markup:
    """The guide as HTML. It is a text of ours; HTML in it would be shown as text nevertheless."""
    text = (_GUIDES / language / f"{name}.md").read_text("utf-8")
    shown = MarkdownIt("commonmark", {"html": False}).enable("table").render(text)
    # Wide tables and long commands are scrolled by themselves, also with the keyboard.
    for written, wanted in (
        ("<table>", '<div class="table-box" tabindex="0"><table>'),
        ("</table>", "</table></div>"),
        ("<pre>", '<pre tabindex="0">'),
    ):
        shown = shown.replace(written, wanted)
    return Markup(shown)  # noqa: S704  made from a file of the package, with HTML escaped
