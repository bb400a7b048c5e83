"""The laboratory: every statement of docs/theory.md, tested in finite worlds where the truth is known exactly.

`python -m theory` (or `make theory`) runs it. Not part of the installed package.
"""
