"""Two requests at once: what counts once counts once, and whoever comes second is told so, not met by a fault."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from threading import Barrier, Thread

import pytest

from app.access import service as access
from app.accounts.passwords import password_matches
from app.core.errors import AppError, NotSignedIn
from app.core.services import Services
from tests.app.access.people_builders import HERE, password_step, somebody, with_code_app
from tests.builders import PASSWORD
from tests.letters import waiting_letters

NEW = "quince lampara orilla zinc"


def at_once(times: int, act: Callable[[int], object]) -> Counter[str]:
    """Do something on so many threads together; how often it was ``done``, or refused with which code."""
    together, came_out = Barrier(times), Counter[str]()

    def run(number: int) -> None:
        together.wait()
        try:
            act(number)
        except AppError as refusal:
            came_out[refusal.code] += 1
        except Exception as fault:
            came_out[repr(fault)] += 1
        else:
            came_out["done"] += 1

    threads = [Thread(target=run, args=(number,)) for number in range(times)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return came_out


def test_of_several_at_once_with_one_link_one_sets_a_password(services: Services) -> None:
    person = somebody(services)
    access.ask_for_recovery(services, email=person.email, visitor=HERE)
    token = waiting_letters(services, to=person.email)[-1].path.rpartition("/")[2]
    came_out = at_once(4, lambda number: access.recover(services, token=token, new=f"{NEW} {number}", visitor=HERE))
    assert came_out == {"done": 1, "link_over": 3}


def test_of_several_confirmations_of_one_browser_one_renews_its_session(services: Services) -> None:
    token = access.start_session_for(services, person_id=somebody(services).id)
    came_out = at_once(
        4, lambda _: access.confirm_with_password(services, token=token, password=PASSWORD, visitor=HERE)
    )
    assert came_out == {"done": 1, NotSignedIn.code: 3}


def test_an_app_can_be_begun_several_times_at_once(services: Services) -> None:
    person = somebody(services)
    assert at_once(4, lambda _: access.begin_code_app(services, person_id=person.id)) == {"done": 4}


def test_a_password_that_is_changed_while_it_is_compared_opens_nothing(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = somebody(services)

    def changed_meanwhile(known: str, password: str) -> bool:
        monkeypatch.undo()
        access.change_password(
            services, person_id=person.id, token=person.token, current=PASSWORD, new=NEW, visitor=HERE
        )
        return password_matches(known, password)

    monkeypatch.setattr("app.access.service.signing_in.password_matches", changed_meanwhile)
    with pytest.raises(NotSignedIn) as refused:
        access.sign_in(services, email=person.email, password=PASSWORD, visitor=HERE)
    assert refused.value.code == "sign_in_refused"


def test_a_new_password_ends_what_was_begun_with_the_old_one(services: Services) -> None:
    person = somebody(services)
    app = with_code_app(services, person)
    access.ask_for_recovery(services, email=person.email, visitor=HERE)
    link = waiting_letters(services, to=person.email)[-1].path.rpartition("/")[2]
    step, token = password_step(services, person), access.start_session_for(services, person_id=person.id)
    access.change_password(services, person_id=person.id, token=token, current=PASSWORD, new=NEW, visitor=HERE)
    with pytest.raises(AppError, match="too long"):
        access.finish_with_code(services, step=step, code=app.now(), visitor=HERE)
    with pytest.raises(AppError, match="used or too old"):
        access.recover(services, token=link, new=f"{NEW} again", visitor=HERE)
