"""Names under which locust counts requests; `locustfile` uses them and `load` holds their times to thresholds."""

from typing import Final

PLAN: Final = "LOAD_PLAN"
"""Environment variable: the file with keys and codes for the locust users."""
ERROR_MARK: Final = "failed request: "
"""Begins each line of locust's standard error that says why requests failed."""

LIST_PRODUCTS: Final = "list products"
COMMISSION: Final = "ask for 20 units"
COMMISSION_DONE: Final = "20 units, from asking to done"
JOB: Final = "poll a job"
LABEL: Final = "draw a label"
VERIFY: Final = "verify"
BATCH_VERIFY: Final = "batch verify"
PROOF: Final = "fetch a proof"
