"""English and Spanish are complete: no text is missing, fuzzy, stale or left outside the translation."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.frontend import parse_mapping_cfg
from babel.messages.mofile import read_mo, write_mo
from babel.messages.pofile import read_po
from jinja2 import Environment

ROOT = Path(__file__).parents[3]
TEMPLATES = ROOT / "app" / "portal" / "templates"
SPANISH = ROOT / "app" / "portal" / "translations" / "es" / "LC_MESSAGES" / "messages.po"
PLACEHOLDER = re.compile(r"%\(\w+\)s")
TAG = re.compile(r"<[^>]+>")
SPOKEN_ATTRIBUTES = {"aria-label", "placeholder", "title", "alt", "data-label"} | {
    f"data-{outcome}" for outcome in ("done", "failed", "place", "unplaced", "nowhere")
}
ATTRIBUTES = re.compile(r"[a-z-]+ ?=\"[^\"]*\"|\b(?:required|autofocus)\b")
"""Attributes that a macro collects in a variable stand outside any tag."""
NOT_LANGUAGE = {"Language / Idioma", "(OpenAPI 3.1)"}
UNTRANSLATED_ELEMENTS = {"code", "pre", "script"}

Key = tuple[str, str]


def _key(message: Message) -> Key:
    text = message.id[0] if isinstance(message.id, tuple) else message.id
    return message.context or "", str(text)


@pytest.fixture(scope="module")
def spoken() -> set[Key]:
    """Every text that the program can show, as `make messages` collects it."""
    with (ROOT / "babel.cfg").open() as config:
        methods, options = parse_mapping_cfg(config)  # type: ignore[no-untyped-call]
    found = set()
    for _, _, text, _, context in extract_from_dir(str(ROOT / "app"), methods, options):
        found.add((context or "", str(text[0] if isinstance(text, tuple) else text)))
    return found


@pytest.fixture(scope="module")
def spanish() -> Catalog:
    return read_po(BytesIO(SPANISH.read_bytes()), locale="es")


def test_every_text_has_a_spanish_form(spoken: set[Key], spanish: Catalog) -> None:
    done = {_key(message) for message in spanish if message.id and _is_complete(message)}
    assert len(spoken) > 300
    assert sorted(spoken - done) == []


def test_nothing_is_fuzzy_or_left_over(spoken: set[Key], spanish: Catalog) -> None:
    assert [message.id for message in spanish if message.fuzzy and message.id] == []
    assert sorted({_key(message) for message in spanish if message.id} - spoken) == []
    assert not spanish.obsolete


def test_the_spanish_texts_have_the_same_placeholders_and_tags(spanish: Catalog) -> None:
    for message in spanish:
        originals = message.id if isinstance(message.id, tuple) else (message.id,)
        forms = message.string if isinstance(message.string, tuple) else (message.string,)
        for pattern in (PLACEHOLDER, TAG):
            wanted = sorted(set(pattern.findall(" ".join(map(str, originals)))))
            if message.id and "<ISSUER>" not in str(message.id):
                for form in forms:
                    assert sorted(set(pattern.findall(str(form)))) == wanted, message.id


def test_the_compiled_catalogue_is_that_of_the_texts(spanish: Catalog) -> None:
    compiled = BytesIO()
    write_mo(compiled, spanish)
    compiled.seek(0)
    with SPANISH.with_suffix(".mo").open("rb") as shipped:
        assert _texts(read_mo(shipped)) == _texts(read_mo(compiled))


def test_no_text_calls_a_product_genuine(spoken: set[Key], spanish: Catalog) -> None:
    for _, text in spoken:
        assert not re.search(r"\b(genuine|counterfeit-free|fake|forced-labour free)\b", text, re.IGNORECASE), text
    for message in spanish:
        assert not re.search(r"\b(genuin[oa]|falso|falsa)\b", str(message.string), re.IGNORECASE), message.string


@pytest.mark.parametrize("path", sorted(TEMPLATES.rglob("*.html")), ids=lambda path: str(path.relative_to(TEMPLATES)))
def test_no_template_holds_text_outside_the_translation(path: Path) -> None:
    reader = _Texts()
    reader.feed("".join(_literal_parts(path.read_text(encoding="utf-8"))))
    assert [text for text in reader.found if text not in NOT_LANGUAGE] == []


@pytest.mark.parametrize("path", sorted(TEMPLATES.rglob("*.html")), ids=lambda path: str(path.relative_to(TEMPLATES)))
def test_no_template_needs_what_the_content_security_policy_forbids(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"\sstyle=|<style|\son[a-z]+=", text)
    assert all("src=" in script for script in re.findall(r"<script[^>]*>", text))
    assert not re.search(r"(?:src|href)=\"https?:", text)


def _is_complete(message: Message) -> bool:
    return all(message.string) if isinstance(message.string, tuple) else bool(message.string)


def _texts(catalogue: Catalog) -> dict[object, object]:
    return {(message.context, str(message.id)): message.string for message in catalogue if message.id}


def _literal_parts(source: str) -> Iterator[str]:
    """What of a template stands there literally: no expressions, no statements, no translated blocks."""
    environment = Environment(extensions=["jinja2.ext.i18n"], autoescape=True)
    statement: list[str] = []
    in_translation = False
    for _, kind, value in environment.lex(source):
        if kind == "block_begin":
            statement = []
        elif kind == "name":
            statement.append(value)
        elif kind == "block_end" and statement[:1] in (["trans"], ["endtrans"]):
            in_translation = statement[0] == "trans"
        elif kind == "data" and not in_translation:
            yield value
        elif kind == "variable_begin":
            yield " "


class _Texts(HTMLParser):
    """Collects what a reader would see or hear."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._silent = 0

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self._silent += tag in UNTRANSLATED_ELEMENTS
        for name, value in attributes:
            if name in SPOKEN_ATTRIBUTES and value:
                self._note(value)

    def handle_endtag(self, tag: str) -> None:
        self._silent -= tag in UNTRANSLATED_ELEMENTS

    def handle_data(self, data: str) -> None:
        if self._silent <= 0:
            self._note(data)

    def _note(self, text: str) -> None:
        text = " ".join(ATTRIBUTES.sub("", text).split())
        if re.search(r"[A-Za-zÁ-ú]{2,}", text):
            self.found.append(text)
