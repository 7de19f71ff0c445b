"""Room: the registry of people, notices, objections, consents and holds, and standing at any time."""
