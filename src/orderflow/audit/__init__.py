"""Proof that a log is whole: seals, what compares a log with them, and bundles that others can check offline.

It never changes a log, and never trusts the database for what a seal was signed for.
"""
