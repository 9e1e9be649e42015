"""The operator's desk: what waits for a person, and what a person does about many orders at once.

It never talks to a destination but to ask, and everything that it decides goes through `decide` like any command.
"""
