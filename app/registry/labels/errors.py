"""The error of label rendering."""


class LabelError(ValueError):
    """A label that cannot be drawn: `code` is stable, the message is for people, `fix` says what helps."""

    def __init__(self, code: str, message: str, *, fix: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.fix = fix
