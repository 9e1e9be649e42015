"""The benchmark: orderflow, what a user would pick instead, and the bare database, side by side in one run.

It never compares figures of two runs, and never shows one without its spread.
"""
