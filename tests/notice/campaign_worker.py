"""A worker process for the killed test: sends campaign c1 until nothing is due. Arguments: URL, port, window."""

from __future__ import annotations

import asyncio
import sys
from datetime import datetime, timedelta

import uvloop

from demur import clock
from demur.notice import NoticeBook
from demur.notice.deliveries import Deliveries, Leased
from demur.notice.sender import Sender
from demur.notice.smtp import SmtpChannel
from demur.notice.worker import is_gone, this_worker
from demur.terms.notice import Outgoing
from demur.terms.site import Relay


def render(row: Leased, _at: datetime) -> Outgoing:
    text = b"Message-ID: <%d@x>\r\nX-Try: %d\r\n\r\nhello\r\n" % (row.number, row.attempt)
    return Outgoing(row.number, row.attempt, row.address or "", row.destination, "b@y.example", text)


def main() -> None:
    url, port, window = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    book = NoticeBook(url)
    ledger = Deliveries(book, bytes(32), lease=timedelta(minutes=15))
    ledger.expire(clock.now(), gone=[one for one in ledger.workers() if is_gone(one)])
    channel = SmtpChannel(Relay(host="127.0.0.1", port=port, connections=4))
    sender = Sender(ledger, {"email": channel}, render, clock.now, worker=this_worker(), window=window)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(sender.run(ledger.running))


if __name__ == "__main__":
    main()
