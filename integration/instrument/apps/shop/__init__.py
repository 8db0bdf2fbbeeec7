"""A small ASGI application that the tests of the launcher start."""
