"""Room: campaigns, the texts that people get, and the delivery of every notice and letter.

For: whoever must tell people, and prove that they were told. In: an audience, texts, a relay. Out: one row a person
with its state, mails, in-app messages, proofs of what each person got. May touch: its own tables, the relay, the
outbox folder. May not: know the registry's tables, decide about items, ask the clock. Read first: schema.py,
terms/notice.py; docs/campaigns.md.
"""

from demur.notice.book import NoticeBook

__all__ = ["NoticeBook"]
