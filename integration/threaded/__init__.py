"""Somebody's app whose work is done in threads: synchronous endpoints, background tasks, a worker."""
