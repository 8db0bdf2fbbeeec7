"""A TCP proxy that fails on purpose; `python -m load.faults.proxy --help` tells how."""
