"""The MQTT side of renewal: what gateways ask, and what the hub answers. No I/O."""

from uuid import UUID

from core import edge
from hub.domains.certificates.schemas import RenewalRequest, Renewed
from hub.domains.gateways.schemas import Answer, Message


def read_request(message: Message) -> RenewalRequest | None:
    """Return what a message on the csr topic asks, or None when there is nobody to answer."""
    try:
        gateway_id = UUID(edge.gateway_of(message.topic))
        request = edge.decode(message.payload, edge.CertificateRequest)
    except (edge.PayloadError, ValueError, IndexError):
        return None
    return RenewalRequest(gateway_id, request.id, request.csr)


def write_reply(request: RenewalRequest, renewed: Renewed, trusted_pem: str) -> Answer:
    """Return the answer to a request; with a certificate comes what its broker is trusted by."""
    reply = edge.CertificateReply(
        id=request.id,
        code=renewed.code,
        certificate=renewed.certificate.encode(),
        ca=b"" if renewed.code else trusted_pem.encode(),
    )
    return Answer(edge.crt_topic(request.gateway_id), edge.encode(reply))
