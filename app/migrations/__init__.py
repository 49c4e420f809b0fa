"""Alembic migrations of the service's and the ledger's tables."""
