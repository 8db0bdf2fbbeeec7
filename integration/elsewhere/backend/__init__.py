"""A help desk that somebody else wrote: its own frames, login, database and model client.

It is measured by configuration alone, so nothing in it knows of who measures it.
"""
