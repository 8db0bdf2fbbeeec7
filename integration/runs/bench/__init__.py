"""Ratios taken from whole runs; started by `make bench`, not by pytest."""
