"""Says why no real shop can run here, and ends with 1 then."""

import sys

from tests.shops.bring_up import needs_node

missing = needs_node()
sys.stdout.write(missing or "")
sys.exit(missing is not None)
