"""Tests of the fake Glopal and the fake shop; they import nothing else of orderflow."""
