"""Decisions of passkeys: what is asked of devices, and whether what they answer proves anything.

The checks are those of WebAuthn level 3, 7.1 and 7.2; the `webauthn` library makes most of them.
"""

import base64
from contextlib import suppress
from typing import Final
from uuid import UUID

import msgspec
from webauthn import verify_authentication_response, verify_registration_response
from webauthn.helpers import (
    base64url_to_bytes,
    decode_credential_public_key,
    decoded_public_key_to_cryptography,
    parse_attestation_object,
)
from webauthn.helpers.cose import COSEAlgorithmIdentifier
from webauthn.helpers.structs import (
    AttestationFormat,
    AuthenticationCredential,
    AuthenticatorAssertionResponse,
    AuthenticatorAttestationResponse,
    CredentialDeviceType,
    RegistrationCredential,
)

from hub.domains.passkeys.schemas import (
    Algorithm,
    ClientData,
    CreationOptions,
    Descriptor,
    MadeCredential,
    NewPasskey,
    Party,
    Person,
    RequestOptions,
    Shown,
    SignedCredential,
    StoredPasskey,
)
from hub.http.origins import RelyingParty

CHALLENGE_SECONDS: Final = 300
_TIMEOUT_MS: Final = CHALLENGE_SECONDS * 1000
_CREDENTIAL_ID_MAX_BYTES: Final = 1023
_PUBLIC_KEY_MAX_BYTES: Final = 2048
_ALGORITHMS: Final = [
    COSEAlgorithmIdentifier.EDDSA,
    COSEAlgorithmIdentifier.ECDSA_SHA_256,
    COSEAlgorithmIdentifier.RSASSA_PKCS1_v1_5_SHA_256,
]


def creation_options(
    party: RelyingParty, challenge: str, user_id: UUID, full_name: str, known: list[Descriptor]
) -> CreationOptions:
    """Return what a device is asked to make; not on one that has a passkey of the account."""
    return CreationOptions(
        rp=Party(id=party.id, name=party.id),
        user=Person(id=handle_of(user_id), name=full_name, display_name=full_name),
        challenge=challenge,
        pub_key_cred_params=tuple(Algorithm(item.value) for item in _ALGORITHMS),
        timeout=_TIMEOUT_MS,
        exclude_credentials=known,
    )


def request_options(party: RelyingParty, challenge: str) -> RequestOptions:
    """Return what a device is asked to sign; it knows itself which passkeys it has."""
    return RequestOptions(
        challenge=challenge, timeout=_TIMEOUT_MS, rp_id=party.id, allow_credentials=[]
    )


def handle_of(user_id: UUID) -> str:
    """Return what devices keep of an account: nothing but its id."""
    return base64.urlsafe_b64encode(user_id.bytes).rstrip(b"=").decode()


def credential_id_of(given: SignedCredential) -> bytes:
    """Return which passkey a device says it used; nothing where that is no base64url."""
    with suppress(ValueError):
        return base64url_to_bytes(given.id)
    return b""


def read_client_data(encoded: str) -> ClientData | None:
    """Return what a device says it signed for, before anything of it is verified."""
    with suppress(msgspec.MsgspecError, ValueError, RecursionError):
        return msgspec.json.decode(base64url_to_bytes(encoded), type=ClientData)
    return None


def verify_made(given: MadeCredential, challenge: str, party: RelyingParty) -> NewPasskey | None:
    """Return a passkey as the hub keeps it; None if it was not made for this challenge and party.

    Attestation is neither asked for nor kept: a statement may be there where a device signs with
    the new key itself, never with a certificate.
    """
    try:
        attested = parse_attestation_object(base64url_to_bytes(given.response.attestation_object))
        is_plain = attested.fmt in {AttestationFormat.NONE, AttestationFormat.PACKED}
        if not is_plain or attested.att_stmt.x5c is not None:
            return None
        verified = verify_registration_response(
            credential=RegistrationCredential(
                id=given.id,
                raw_id=base64url_to_bytes(given.id),
                response=AuthenticatorAttestationResponse(
                    client_data_json=base64url_to_bytes(given.response.client_data_json),
                    attestation_object=base64url_to_bytes(given.response.attestation_object),
                ),
            ),
            expected_challenge=base64url_to_bytes(challenge),
            expected_rp_id=party.id,
            expected_origin=list(party.origins),
            supported_pub_key_algs=_ALGORITHMS,
        )
        # The library looks at the key itself only when something is to be verified by it.
        decoded_public_key_to_cryptography(
            decode_credential_public_key(verified.credential_public_key)
        )
        is_named = verified.credential_id == base64url_to_bytes(given.id)
    except Exception:  # noqa: BLE001  # whatever forged bytes do to the library
        return None
    is_small = (
        len(verified.credential_id) <= _CREDENTIAL_ID_MAX_BYTES
        and len(verified.credential_public_key) <= _PUBLIC_KEY_MAX_BYTES
    )
    if not (is_named and is_small):
        return None
    return NewPasskey(
        credential_id=verified.credential_id,
        public_key=verified.credential_public_key,
        sign_count=verified.sign_count,
        transports=list(dict.fromkeys(given.response.transports)),
        is_user_verified=verified.user_verified,
        is_backup_eligible=verified.credential_device_type == CredentialDeviceType.MULTI_DEVICE,
        is_backed_up=verified.credential_backed_up,
    )


def verify_signed(
    given: SignedCredential, challenge: str, party: RelyingParty, stored: StoredPasskey
) -> Shown | None:
    """Return what a sign-in says; None if this passkey did not sign it for challenge and party.

    A passkey whose device has once verified its user has to do so each time: who holds the device
    could otherwise ask it, with options of their own, not to.
    """
    if given.response.user_handle != handle_of(stored.user_id):
        return None
    try:
        verified = verify_authentication_response(
            credential=AuthenticationCredential(
                id=given.id,
                raw_id=base64url_to_bytes(given.id),
                response=AuthenticatorAssertionResponse(
                    client_data_json=base64url_to_bytes(given.response.client_data_json),
                    authenticator_data=base64url_to_bytes(given.response.authenticator_data),
                    signature=base64url_to_bytes(given.response.signature),
                ),
            ),
            expected_challenge=base64url_to_bytes(challenge),
            expected_rp_id=party.id,
            expected_origin=list(party.origins),
            credential_public_key=stored.public_key,
            # Compared by us: the library does so before it has looked at the signature.
            credential_current_sign_count=0,
            require_user_verification=stored.is_user_verified,
        )
    except Exception:  # noqa: BLE001  # whatever forged bytes do to the library
        return None
    is_eligible = verified.credential_device_type == CredentialDeviceType.MULTI_DEVICE
    if is_eligible != stored.is_backup_eligible:
        return None
    return Shown(
        sign_count=verified.new_sign_count,
        is_user_verified=verified.user_verified,
        is_backed_up=verified.credential_backed_up,
    )


def went_back(stored: int, shown: int) -> bool:
    """Say whether a counter did not advance; two zeros: a device that does not count."""
    return (stored or shown) != 0 and shown <= stored
