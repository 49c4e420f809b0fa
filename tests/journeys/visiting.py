"""Who visits, and where."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import BrowserContext, Page, ViewportSize

from app.core.services import Services
from tests.builders import PASSWORD

PHONE: ViewportSize = {"width": 390, "height": 844}
DESK: ViewportSize = {"width": 1280, "height": 800}


@dataclass(frozen=True)
class Site:
    """A running registry."""

    address: str
    services: Services


class Visitor:
    """Somebody at a screen; what the browser complains about is kept."""

    def __init__(self, context: BrowserContext, address: str) -> None:
        self.context = context
        self.page: Page = context.new_page()
        self.address = address
        self.complaints: list[str] = []
        self.page.on("console", self._note)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _note(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def goes_to(self, path: str) -> Page:
        """Open a page of the site."""
        self.page.goto(self.address + path)
        return self.page

    def signs_in(self, email: str, password: str = PASSWORD) -> Page:
        """Sign in through the form, and come to the overview."""
        self.goes_to("/sign-in")
        self.page.locator("input[type=email]").fill(email)
        self.page.locator("input[type=password]").fill(password)
        self.page.locator("form[action='/sign-in'] button").click()
        self.page.wait_for_url(lambda url: "/sign-in" not in url)
        return self.page

    def is_wider_than_the_screen(self) -> bool:
        """Whether the page must be scrolled sideways."""
        return bool(self.page.evaluate("document.documentElement.scrollWidth > window.innerWidth"))

    def barriers(self) -> list[str]:
        """Serious and critical faults that axe finds on the page, each with the elements it is about."""
        found = Axe().run(self.page).response["violations"]
        return [
            f"{fault['id']}: {node['target']}"
            for fault in found
            if fault["impact"] in ("serious", "critical")
            for node in fault["nodes"]
        ]
