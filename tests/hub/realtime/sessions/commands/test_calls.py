"""Remote procedures and sent data."""

from msgspec import structs

from hub.realtime import codes
from hub.realtime.protocol.messages import SubscribeResult
from hub.realtime.sessions.commands import calls, subscribe
from hub.realtime.sessions.effects import Call, HandOver, Join, Joined
from hub.realtime.sessions.session import CALLS_AT_ONCE
from tests.hub.realtime.sessions.house import RULES, answers, closes, command, connected


def test_a_call_reaches_the_application_and_its_answer_the_client():
    session = connected()
    (asked,) = session.receive(command(2, rpc={"method": "echo", "data": {"n": 1}}), 0.0)
    assert isinstance(asked, Call)
    assert (asked.command_id, asked.method, bytes(asked.data)) == (2, "echo", b'{"n": 1}')
    assert answers(calls.called(session, 2, b'{"n":1}')) == [{"id": 2, "rpc": {"data": {"n": 1}}}]


def test_commands_do_not_wait_for_a_call():
    session = connected()
    session.receive(command(2, rpc={"method": "echo"}), 0.0)
    (asked,) = session.receive(command(3, subscribe={"channel": "room:a"}), 0.0)
    assert isinstance(asked, Join)
    results = {"room:a": Joined(SubscribeResult(), [])}
    assert answers(subscribe.joined(session, results, 0.0, 1000))[0]["id"] == 3
    assert answers(calls.called(session, 2, b"1"))[0]["id"] == 2


def test_a_connection_has_so_many_calls_under_way_and_the_next_one_waits_with_all_behind_it():
    session = connected()
    frame = "\n".join(
        command(number, rpc={"method": "echo"}) for number in range(2, CALLS_AT_ONCE + 3)
    )
    assert len(session.receive(frame, 0.0)) == CALLS_AT_ONCE
    assert session.receive(command(20, unsubscribe={"channel": "x"}), 0.0) == []
    assert session.backlog == 2
    _, reply, call, last = calls.failed(session, 2, codes.INTERNAL)
    assert answers([reply])[0]["error"]["code"] == 100
    assert isinstance(call, Call)
    assert answers([last]) == [{"id": 20, "unsubscribe": {}}]


def test_an_answer_after_the_end_is_let_fall():
    session = connected()
    session.receive(command(2, rpc={"method": "echo"}), 0.0)
    session.connection_lost()
    assert calls.called(session, 2, b"1") == []
    assert calls.failed(session, 2, codes.INTERNAL) == []


def test_without_any_procedure_calls_are_not_available():
    session = connected(rules=structs.replace(RULES, methods=()))
    (reply,) = answers(session.receive(command(2, rpc={"method": "echo"}), 0.0))
    assert reply["error"]["code"] == 108


def test_sent_data_is_handed_over_in_order_and_not_answered():
    session = connected()
    frame = '{"send":{"data":1}}\n' + command(2, unsubscribe={"channel": "x"})
    (asked,) = session.receive(frame, 0.0)
    assert isinstance(asked, HandOver)
    assert bytes(asked.data) == b"1"
    assert answers(calls.handed_over(session)) == [{"id": 2, "unsubscribe": {}}]


def test_sending_data_nobody_handles_closes_3508():
    session = connected(rules=structs.replace(RULES, hears_messages=False))
    assert closes(session.receive('{"send":{"data":1}}', 0.0)) == [3508]


def test_data_that_the_application_could_not_take_has_no_reply_either():
    session = connected()
    session.receive('{"send":{"data":1}}', 0.0)
    assert answers(session.refused(codes.INTERNAL)) == []
    assert session.is_connected
