"""What is written about a client is read again as it was."""

from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from hub.realtime.protocol.messages import EMPTY, ClientInfo
from hub.realtime.redis.entries import decode_info, encode_info

INFOS = st.one_of(st.just(EMPTY), st.binary(min_size=1).map(Raw))


@given(st.builds(ClientInfo, st.text(), st.text(), conn_info=INFOS, chan_info=INFOS))
def test_an_entry_holds_everything(info: ClientInfo):
    assert decode_info(encode_info(info)) == info


def test_the_user_stands_first_behind_its_length_in_bytes():
    assert encode_info(ClientInfo("ü:1", "c")).startswith("4:ü:1".encode())
