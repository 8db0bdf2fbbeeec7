"""Processes that break the world for real, each with an admin interface on loopback."""
