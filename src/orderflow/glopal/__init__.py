"""The border to Glopal: their words stop here.

It never reaches the database and never decides anything.
"""
