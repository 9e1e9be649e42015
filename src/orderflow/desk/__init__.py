"""The desk: what waits for people, who has it, and who is told.

It never judges an order and never does anything to the world: it reads, and records what people decide.
"""
