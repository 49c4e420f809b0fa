"""Which texts of the program are translated: what `pybabel extract` finds in Python files (see babel.cfg).

Beside the usual calls of gettext these are the sentences of refusals: the first argument and `fix` of every AppError,
the default sentence of its classes, and the messages of field faults. They are English where they are raised and are
looked up when they are shown, so no call of gettext stands beside them.
"""

import ast
from collections.abc import Iterator
from string import ascii_lowercase
from typing import IO

Message = tuple[int, str | None, str | tuple[str, ...] | tuple[tuple[str, str], str], list[str]]
"""Line, function name, message (or messages in the order of the function's arguments), comments: Babel's shape."""

GETTEXT = {
    "_": "gettext",
    "_mark": "gettext",
    "gettext": "gettext",
    "lazy_gettext": "gettext",
    "ngettext": "ngettext",
    "lazy_ngettext": "ngettext",
    "_p": "pgettext",
    "pgettext": "pgettext",
    "lazy_pgettext": "pgettext",
}
REFUSALS = frozenset(
    {
        "AppError",
        "Conflict",
        "Forbidden",
        "Invalid",
        "Malformed",
        "NotFound",
        "NotSignedIn",
        "TooLarge",
        "TooMany",
        "refuse_if_any",
    }
)
FAULTS = {"FieldFault": 1, "add": 1}
"""Calls that note a fault, and the position of their sentence."""


SENTENCES = frozenset({"message", "sentence"})
"""Names under which a sentence waits for its use."""


def extract(file: IO[bytes], *_keywords_and_tags: object, **_options: object) -> Iterator[Message]:
    """Find the texts of a Python source: Babel's extraction method, whose further arguments are not needed."""
    for node in ast.walk(ast.parse(file.read())):
        if isinstance(node, ast.Call):
            yield from _of_call(node)
        elif isinstance(node, ast.Assign):
            yield from _of_assignment(node)
        elif isinstance(node, ast.ClassDef):
            yield from _of_class(node)


def _of_call(node: ast.Call) -> Iterator[Message]:
    name = _name(node.func)
    texts = [_text(argument) for argument in node.args]
    if name in GETTEXT and texts and texts[0]:
        function = GETTEXT[name]
        wanted = [text for text in texts[: 1 if function == "gettext" else 2] if text]
        yield node.lineno, function, wanted[0] if function == "gettext" else tuple(wanted), []
        return
    if name in REFUSALS and texts and texts[0]:
        yield node.lineno, "gettext", texts[0], []
    if name in FAULTS and len(texts) > FAULTS[name] and texts[FAULTS[name]]:
        yield node.lineno, "gettext", str(texts[FAULTS[name]]), []
    for keyword in node.keywords:
        text = _text(keyword.value)
        if keyword.arg == "fix" and text:
            yield keyword.value.lineno, "gettext", text, []


def _of_assignment(node: ast.Assign) -> Iterator[Message]:
    """Find a sentence that gets a name before it is put into a fault or an answer."""
    text = _text(node.value)
    if text and any(_name(target) in SENTENCES for target in node.targets):
        yield node.lineno, "gettext", text, []


def _of_class(node: ast.ClassDef) -> Iterator[Message]:
    """Find the default of a parameter named `message` of a refusal's own class."""
    for function in (part for part in node.body if isinstance(part, ast.FunctionDef) and part.name == "__init__"):
        arguments = function.args.args
        for argument, default in zip(reversed(arguments), reversed(function.args.defaults), strict=False):
            text = _text(default)
            if argument.arg == "message" and text:
                yield default.lineno, "gettext", text, []


def _name(function: ast.expr) -> str:
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


def _text(node: ast.expr) -> str | None:
    """Give the text of a literal; the figures of an f-string become places %(a)s, %(b)s ... (see `sentences`)."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else None
    if not isinstance(node, ast.JoinedStr):
        return None
    letters = iter(ascii_lowercase)
    parts = [str(part.value) if isinstance(part, ast.Constant) else f"%({next(letters)})s" for part in node.values]
    return "".join(parts)
