"""Every table of the service: for what goes through all of them, such as a migration or a person's export.

Importing it makes sure that all are known; a feature's own work never comes here.
"""

import app.access.machine_models
import app.access.models
import app.accounts.joining_models
import app.accounts.models
import app.core.alarms
import app.core.attempts
import app.core.daily_salts
import app.core.jobs
import app.core.mail
import app.core.notices
import app.core.resealing
import app.core.service_keys
import app.core.tallies
import app.core.token_ids
import app.devices.models
import app.facts.models
import app.privacy.models
import app.registry.models
import app.webhooks.models  # noqa: F401
from app.core.database import Base

metadata = Base.metadata
"""The tables by name."""
