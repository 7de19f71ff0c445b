"""Config → concrete parts; the only place that chooses."""
