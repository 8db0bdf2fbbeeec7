"""Alembic's environment; `storage.schema` drives it."""
