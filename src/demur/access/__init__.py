"""Room: who may do what: staff accounts, roles, sessions (SEC-01).

For: the console and every page behind a login. In: a name and password, or what an OpenID provider says. Out:
sessions, and yes or no for a role and an action. May touch: its own tables. May not: know people of the registry,
ask the clock. Read first: docs/console.md.
"""
