"""Rows and the SQL that reads and writes them; one query module for each aggregate."""
