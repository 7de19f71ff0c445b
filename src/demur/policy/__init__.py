"""Room: deciding, item by item, what may be used and why."""
