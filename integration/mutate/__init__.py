"""Mutants of the error paths of `backend/`, tried by `python -m integration.mutate --seed N`.

operators   a site and what can be done to it           draw       which of them, by seed
reaching    the tests that reached a site               trial      one mutant against the tests
loaded      one mutant against a load run               ledger     what is known, line by line on the disk
report      the table and the shares
"""
