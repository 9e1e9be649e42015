"""The desk: what waits for people, who has it, who is told, and what a person does about many orders at once.

It never judges an order and never talks to a destination but to ask; what people decide goes through `decide`.
"""
