"""Backups of a database that holds a log: made while it is in use, checked without any database, put back whole.

    manifest.json           what the backup is of, and size and SHA-256 of every other file; written last
    database.db             SQLite: a copy of the database file
    <name>.db               SQLite: further database files that the caller names
    <table>.copy            PostgreSQL: the rows of one table, in the format of COPY ... (FORMAT BINARY)

A backup is one state of the database. It holds all that the database holds, private salts and sealed keys included; so
keep it as secret as the database. It does not hold the high-water mark: a mark that went back together with the
database could not tell that it went back (see `ledger.mark.high_water`).

The package knows of the log's own tables only that they are there: whatever else lies in the same database comes
along, and what lies in further files is named by the caller.
"""

from ledger.backup.checking import check_backup
from ledger.backup.making import make_backup
from ledger.backup.manifest import BackupFile, Manifest
from ledger.backup.restoring import read_for_restore, restore_backup

__all__ = ["BackupFile", "Manifest", "check_backup", "make_backup", "read_for_restore", "restore_backup"]
