"""The pure core: what an order is, what may happen to it, and what is due for it.

It never does I/O, reads a clock, makes an id or logs; it imports the standard library and `transitions` only.
"""
