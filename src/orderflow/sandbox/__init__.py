"""A faithful fake Glopal and a fake shop, with switchable faults, for demos, integrators and tests."""
