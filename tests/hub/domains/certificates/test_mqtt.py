"""Requests and replies of renewal as they travel."""

import pytest

from core import edge
from core.edge import CertificateReply, CertificateRequest
from core.ids import new_id
from hub.domains.certificates.mqtt import read_request, write_reply
from hub.domains.certificates.schemas import RenewalRequest, Renewed
from hub.domains.gateways.schemas import Message

GATEWAY = new_id()


def message(payload: bytes, topic: str = "") -> Message:
    return Message(topic or edge.csr_topic(GATEWAY), payload, 0)


def test_a_request_is_its_topics_gateways_whatever_it_says_itself() -> None:
    payload = edge.encode(CertificateRequest(id=b"\1", csr=b"der"))
    assert read_request(message(payload)) == RenewalRequest(GATEWAY, b"\1", b"der")


@pytest.mark.parametrize(
    "found",
    [
        message(b""),
        message(b"\xff"),
        message(b"\xa1\x61v\x01"),
        message(edge.encode(CertificateRequest(id=b"", csr=b""))),
        message(edge.encode(CertificateRequest(id=b"x" * 33, csr=b""))),
        message(edge.encode(CertificateRequest(id=b"x", csr=b"")), "ping/v1/gw/desk/csr"),
        message(edge.encode(CertificateRequest(id=b"x", csr=b"")), "ping/v1/gw"),
    ],
)
def test_what_nobody_can_be_answered_about_is_left_alone(found: Message) -> None:
    assert read_request(found) is None


def test_a_certificate_comes_with_what_the_broker_is_trusted_by() -> None:
    request = RenewalRequest(GATEWAY, b"\7", b"")
    answer = write_reply(request, Renewed("", "leaf"), "ca")
    assert answer.topic == f"ping/v1/cmd/gw/{GATEWAY}/crt"
    expected = CertificateReply(id=b"\7", certificate=b"leaf", ca=b"ca")
    assert edge.decode(answer.payload, CertificateReply) == expected


def test_a_refusal_carries_its_code_alone() -> None:
    answer = write_reply(RenewalRequest(GATEWAY, b"\7", b""), Renewed("not_due"), "ca")
    assert edge.decode(answer.payload, CertificateReply) == CertificateReply(
        id=b"\7", code="not_due"
    )
