"""The pages: people's side, JSON API, console. Read a request, call one flow, show what came out.

For: members, people who appear in posts, the privacy office, regulators. In: HTTP. Out: pages, JSON. May touch: the
network through Starlette. May not: hold logic of its own; change anything on GET or HEAD; set a cookie in the link
flow; load anything from elsewhere. Read first: app.py, frame.py, guard.py; docs/serve.md.
"""
