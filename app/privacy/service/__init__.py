"""Use cases of privacy: give a person what is kept about her, erase her, and let go what has been kept long enough."""

from app.privacy.service.erasing import Erased, ErasureReason, erase_for_person, erase_own_account
from app.privacy.service.exporting import export_person
from app.privacy.service.retention import regular_retention, run_due_tasks

__all__ = [
    "Erased",
    "ErasureReason",
    "erase_for_person",
    "erase_own_account",
    "export_person",
    "regular_retention",
    "run_due_tasks",
]
