"""Everything that is kept about a person, for that person: a ZIP of JSON files, one a table, made as it is sent."""

import base64
import io
import zipfile
from collections.abc import Iterator
from typing import Any

import orjson
from sqlalchemy import Connection, Row, Table, select
from sqlalchemy.orm import Session

from app.accounts import service as accounts
from app.core.clock import now_ms, to_iso
from app.core.mail import mail_waiting_for
from app.core.services import Services
from app.migrations.tables import metadata
from app.privacy.personal_tables import PERSONAL, PersonalColumn

FORMAT = "marchamo personal data v1"
_PAGE = 500
_SENT_AT = 64 * 1024


def export_person(services: Services, *, person_id: int) -> Iterator[bytes]:
    """Give the ZIP in pieces; at most a page of rows is in memory. Raises NotFound before the first piece."""
    with Session(services.engine) as session:
        person = accounts.person_by_id(session, person_id)
    return _pieces(services, person_id, person.email)


def _pieces(services: Services, person_id: int, email: str) -> Iterator[bytes]:
    pipe = _Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as archive, services.engine.connect() as connection:
        about = {
            "format": FORMAT,
            "person": f"person:{person_id}",
            "made_at": to_iso(now_ms()),
            "files": "one for each place where you are named; times are milliseconds since 1970 in UTC",
            "left_out": "what would open your account: password, secrets of factors, tokens. They are kept as hashes "
            "or sealed. And what belongs to an organisation for which you act or acted: there only that it names you, "
            "and when. Scans made with your name and no device of your own are kept by unit "
            "and are not found by person.",
        }
        archive.writestr("about.json", orjson.dumps(about, option=orjson.OPT_INDENT_2))
        yield pipe.take()
        for column in PERSONAL:
            with archive.open(f"{column.table}-{column.column}.json", "w", force_zip64=True) as file:
                file.write(b"[")
                for number, row in enumerate(_rows(connection, column, person_id, email)):
                    file.write((b",\n" if number else b"\n") + orjson.dumps(row))
                    if pipe.waiting >= _SENT_AT:
                        yield pipe.take()
                file.write(b"\n]\n")
        waiting = mail_waiting_for(connection, services, email).values()
        archive.writestr("messages-waiting.json", orjson.dumps([mail.decode("utf-8", "replace") for mail in waiting]))
    yield pipe.take()


def _rows(connection: Connection, column: PersonalColumn, person_id: int, email: str) -> Iterator[dict[str, Any]]:
    table: Table = metadata.tables[column.table]
    shown = [each for each in table.columns if column.is_shown(each.name, is_key=each.primary_key)]
    name = column.name_of(person_id, email)
    query = select(*shown).where(table.c[column.column] == name).order_by(*table.primary_key)
    for row in connection.execution_options(yield_per=_PAGE).execute(query):
        yield _plain(row)


def _plain(row: Row[Any]) -> dict[str, Any]:
    return {
        name: base64.b64encode(value).decode() if isinstance(value, bytes) else value
        for name, value in row._mapping.items()
    }


class _Pipe(io.RawIOBase):
    """What the archive writes, until somebody takes it; it can not be read backwards, as no answer can."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self.waiting = 0

    def writable(self) -> bool:
        """Whether it can be written to."""
        return True

    def write(self, data: Any, /) -> int:
        """Keep a piece."""
        piece = bytes(data)
        self._pieces.append(piece)
        self.waiting += len(piece)
        return len(piece)

    def take(self) -> bytes:
        """Give all that was written since the last time."""
        taken = b"".join(self._pieces)
        self._pieces.clear()
        self.waiting = 0
        return taken
