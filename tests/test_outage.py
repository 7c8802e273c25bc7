import logging

from pools.outage import Outage

logger = logging.getLogger("pools.test")


def test_an_outage_is_said_when_it_begins_and_when_it_is_over(caplog):
    caplog.set_level("INFO", "pools.test")
    outage = Outage(logger, begun="it is away", over="it is back")
    outage.over()
    for _ in range(2):
        outage.begins(OSError("refused\nIs it running?"))
        outage.begins(OSError("another reason"))
        outage.over()
        outage.over()
    assert caplog.messages == ["it is away: refused", "it is back"] * 2
