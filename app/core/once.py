"""What stands in a loop's way is said once, and again when it changes: a log full of one line hides the rest."""


class Once:
    """Remembers what a loop said last."""

    def __init__(self) -> None:
        self._said = ""

    def is_news(self, what: str) -> bool:
        """Say whether this is something else than the last time; it is remembered."""
        known, self._said = self._said, what
        return what != known

    def well(self) -> None:
        """Note that nothing stands in the way: the next obstacle is news, whatever it is."""
        self._said = ""
