"""One page each: build, train, erase, prove, what-if, report. Each stage is one call into a room.

For: the faces (CLI, demo). In: ``Parts``. Out: manifests, certificates, facts. May touch: the workspace, through the
rooms. May not: hold a rule of its own. Read first: parts.py, build.py, erase.py.
"""
