"""The evidence of the gate: comparisons that were really run, a line each in docs/evidence/*.jsonl.

cases.py    what is compared, how often, and what is asked of it
code.py     the hash of the code that decides: a line of other code does not count
trial.py    one comparison in a clone of the repository
lines.py    what is kept of it, and every decision again from that
table.py    docs/evidence/README.md, counted from the lines
"""
