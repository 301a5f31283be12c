"""The outbox against a real receiver: each event arrives at least once, signed, under one key, whatever the receiver does."""

from __future__ import annotations

import shutil
import time
from datetime import UTC, datetime
from typing import Any

import pytest

from assets.incidents import incident_log, outbox
from assets.incidents.outbox import Message
from assets.incidents.webhook_message import Receiver
from assets.storage.home import Home
from assets.storage.publishing import write_json
from tests.assets.incidents.receiver import SECRET, WebhookReceiver, receiving

AT = datetime(2026, 11, 1, tzinfo=UTC)
ALARM = {"kind": "quality", "what": "roc_auc", "told": "roc_auc is 0.6 <0.7>"}


@pytest.fixture
def opened(home: Home) -> Home:
    """A home with an open incident."""
    incident_log.raise_about(home, "churn", "a", "1 alarm of churn.", AT, alarms=[ALARM])
    return home


def sent(
    home: Home, receiver: WebhookReceiver, form: Any = "generic", *, secret: bytes = SECRET, **given: Any
) -> list[Message]:
    """What is left after a delivery."""
    known = [Receiver("ops", form, receiver.url, secret, 0.3)]
    return outbox.deliver(home, known, pauses=(0.01, 0.01), **given)


def test_an_event_arrives_once_signed_and_is_not_sent_again(opened: Home) -> None:
    """With its alarms; the next event has another key."""
    with receiving() as receiver:
        assert sent(opened, receiver) == []
        assert sent(opened, receiver) == []
        (request,) = receiver.requests
        assert request["is_ours"]
        assert request["path"] == "/hook?token=t0p"
        told = request["told"]
        assert (told["incident"], told["event"], told["number"], told["alarms"]) == ("churn-1", "opened", 0, [ALARM])
        incident_log.add(opened, "churn-1", incident_log.CLOSED, by="ann", told="mended")
        assert sent(opened, receiver) == []
        assert [item["event"] for item in receiver.taken.values()] == ["opened", "closed"]


def test_a_receiver_that_fails_twice_is_tried_again(opened: Home) -> None:
    """Under the same key."""
    with receiving(500, 503) as receiver:
        assert sent(opened, receiver) == []
        assert len(receiver.requests) == 3
        assert len({request["key"] for request in receiver.requests}) == 1


def test_a_receiver_that_is_too_slow_or_hangs_up_hears_it_again(opened: Home) -> None:
    """It may have read the message, and knows by the key that it is the same."""
    with receiving("slow", "hang up") as receiver:
        assert sent(opened, receiver) == []
        assert len(receiver.requests) == 3
        assert len(receiver.taken) == 1


def test_what_a_receiver_that_is_down_did_not_hear_waits_and_is_not_lost(opened: Home) -> None:
    """Longer after each call; in the order of the events, each of which is kept until it is taken."""
    incident_log.raise_about(opened, "churn", "b", "2 alarms of churn.", AT)
    clock = [1e9]
    with receiving(*[500] * 6) as receiver:
        left = sent(opened, receiver, clock=lambda: clock[0])
        assert [(item.number, item.state, item.attempts) for item in left] == [(0, "waiting", 1), (1, "waiting", 0)]
        assert left[0].told == "answered 500"
        assert len(receiver.requests) == 3
        clock[0] += 61
        assert len(sent(opened, receiver, clock=lambda: clock[0])) == 2
        clock[0] += 61  # twice as long now
        assert len(sent(opened, receiver, clock=lambda: clock[0])) == 2
        assert len(receiver.requests) == 6
        clock[0] += 60
        assert sent(opened, receiver, clock=lambda: clock[0]) == []
        assert [item["number"] for item in receiver.taken.values()] == [0, 1]


def test_what_is_refused_is_not_tried_again_by_itself(opened: Home) -> None:
    """Nor is a redirect followed; a person may send it again."""
    with receiving(403, 302) as receiver:
        (left,) = sent(opened, receiver)
        assert (left.state, left.told) == ("refused", "answered 403")
        assert len(sent(opened, receiver)) == 1
        assert len(receiver.requests) == 1
        (left,) = sent(opened, receiver, is_forced=True)
        assert left.told == "answered 302"
        assert sent(opened, receiver, is_forced=True) == []


def test_a_signature_of_another_key_is_seen(opened: Home) -> None:
    """By the receiver."""
    with receiving() as receiver:
        sent(opened, receiver, secret=b"guessed")
        assert [request["is_ours"] for request in receiver.requests] == [False]


def test_slack_is_told_one_text_without_markup(opened: Home) -> None:
    """As incoming webhooks take it."""
    with receiving() as receiver:
        assert sent(opened, receiver, "slack") == []
        (request,) = receiver.requests
        text = "*churn-1* opened by loopline: 1 alarm of churn.\n• quality of roc_auc: roc_auc is 0.6 &lt;0.7&gt;"
        assert request["told"] == {"text": text}


def test_a_new_receiver_hears_of_what_is_open_and_of_what_happens_since(home: Home) -> None:
    """Not of incidents that were over before."""
    for subject in ("churn", "spend"):
        incident_log.raise_about(home, subject, "a", "an alarm", AT)
    incident_log.add(home, "churn-1", incident_log.CLOSED, by="ann", told="mended", now=AT)
    outbox.declare(home, ["ops"], datetime(2026, 11, 2, tzinfo=UTC))
    late = datetime(2026, 11, 3, tzinfo=UTC)
    incident_log.raise_about(home, "tier", "a", "an alarm", late)
    incident_log.add(home, "tier-1", incident_log.CLOSED, by="ann", told="mended", now=late)
    waiting = outbox.pending(home, ["ops"])
    assert [(item.incident.name, item.number) for item in waiting] == [("spend-1", 0), ("tier-1", 0), ("tier-1", 1)]


@pytest.mark.parametrize("asked", ["\u00b2", "soon", "-1", "1" * 400])
def test_a_receiver_may_ask_for_any_pause(opened: Home, asked: str) -> None:
    """What is no number of seconds is not heeded, and no pause is longer than ten of ours."""
    with receiving(503) as receiver:
        receiver.retry_after = asked
        assert sent(opened, receiver) == []
        assert len(receiver.requests) == 2


def test_a_receiver_may_be_down_for_thousands_of_calls(opened: Home) -> None:
    """The pause between them stays an hour."""
    state = {"ops": {"0": {"attempts": 5000, "told": "answered 500", "state": outbox.WAITING, "not_before": 0.0}}}
    write_json(incident_log.folder(opened, "churn-1") / outbox.DELIVERIES, state)
    with receiving(500, 500, 500) as receiver:
        (left,) = sent(opened, receiver, clock=lambda: 1000.0)
    assert (left.attempts, left.not_before) == (5001, 1000.0 + 3600.0)


def test_an_incident_is_never_written_over(home: Home) -> None:
    """Where the folder of an earlier one was taken away, too."""
    for identity in "ab":
        found = incident_log.raise_about(home, "churn", identity, f"alarm {identity}", AT)
        assert found is not None
        incident_log.add(home, found.name, incident_log.CLOSED, by="ann", told="mended")
    shutil.rmtree(incident_log.folder(home, "churn-1"))
    third = incident_log.raise_about(home, "churn", "c", "alarm c", AT)
    assert third is not None
    assert [item.name for item in incident_log.incidents(home)] == ["churn-2", "churn-3"]


def test_the_body_of_an_answer_is_not_waited_for(opened: Home) -> None:
    """A receiver that lets it drip holds nobody up; the status says that it has the message."""
    with receiving("drip") as receiver:
        began = time.monotonic()
        assert sent(opened, receiver) == []
        assert time.monotonic() - began < 1.5
        assert len(receiver.requests) == 1
