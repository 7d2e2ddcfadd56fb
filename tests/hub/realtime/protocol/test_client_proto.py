"""The Protobuf schema: generated code fits its source, numbers are those that SDKs speak."""

from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
from centrifuge.protocol import client_pb2 as official
from google.protobuf.descriptor import Descriptor
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from grpc_tools import protoc

from hub.realtime.protocol import client_pb2, messages

PROTO = Path("hub/realtime/protocol/client.proto")
# Part of the protocol since; the descriptor inside the Python SDK is older.
YOUNGER = {"SubscribeRequest.type", "PublishRequest.type", "SubRefreshRequest.type"}


def test_the_generated_code_is_that_of_the_schema(tmp_path: Path):
    compiled = tmp_path / "client.pb"
    assert protoc.main(["protoc", "-I.", f"--descriptor_set_out={compiled}", str(PROTO)]) == 0
    (source,) = FileDescriptorSet.FromString(compiled.read_bytes()).file
    for message in source.message_type:
        for field in [*message.field, *(item for n in message.nested_type for item in n.field)]:
            field.ClearField("json_name")  # not kept in generated code
    generated = FileDescriptorProto()
    client_pb2.DESCRIPTOR.CopyToProto(generated)
    assert source == generated


@pytest.mark.parametrize("root", ["Command", "Reply", "EmulationRequest"])
def test_every_field_has_the_number_and_type_that_the_official_sdk_knows(root: str):
    def compare(ours: Descriptor, theirs: Descriptor) -> None:
        if ours.full_name in seen:
            return
        seen.add(ours.full_name)
        for field in ours.fields:
            name = f"{ours.name}.{field.name}"
            other = theirs.fields_by_name.get(field.name)
            if other is None:
                assert name in YOUNGER
                continue
            assert (field.number, field.type, field.is_repeated) == (
                other.number,
                other.type,
                other.is_repeated,
            ), name
            if field.message_type:
                compare(field.message_type, other.message_type)

    seen: set[str] = set()
    compare(
        getattr(client_pb2, root).DESCRIPTOR,
        getattr(official, root).DESCRIPTOR,
    )
    assert seen


@pytest.mark.parametrize(
    ("struct", "descriptor"),
    [
        (messages.Command, client_pb2.Command.DESCRIPTOR),
        (messages.Reply, client_pb2.Reply.DESCRIPTOR),
        (messages.PushReply, client_pb2.Reply.DESCRIPTOR),
        (messages.EmulationRequest, client_pb2.EmulationRequest.DESCRIPTOR),
    ],
)
def test_every_field_of_a_struct_stands_in_the_schema(
    struct: type[messages.Message], descriptor: Descriptor
):
    def compare(struct: type[messages.Message], descriptor: Descriptor) -> None:
        if (struct, descriptor) in seen:
            return
        seen.add((struct, descriptor))
        for name, hint in get_type_hints(struct).items():
            field = descriptor.fields_by_name.get(name)
            assert field, f"{struct.__name__}.{name}"
            for inner in structs_in(hint):
                inside = field.message_type
                if inside.GetOptions().map_entry:
                    inside = inside.fields_by_name["value"].message_type
                compare(inner, inside)

    seen: set[Any] = set()
    compare(struct, descriptor)


def structs_in(hint: Any) -> list[type[messages.Message]]:
    if isinstance(hint, type) and issubclass(hint, messages.Message):
        return [hint]
    return [found for part in get_args(hint) for found in structs_in(part)]
