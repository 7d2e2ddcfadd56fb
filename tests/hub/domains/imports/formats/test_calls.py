"""Messages and calls as "SMS Backup & Restore" writes them."""

import pytest

from tests.hub.domains.imports.formats.reading import read, talks

BACKUP = b"""<?xml version='1.0' encoding='UTF-8' standalone='yes' ?>
<!--File Created By SMS Backup & Restore v10.20.002 on 12/10/2025 20:01:13-->
<?xml-stylesheet type="text/xsl" href="sms.xsl"?>
<smses count="3" backup_set="2f0c" backup_date="1760000000000" type="full">
  <sms protocol="0" address="+49 170 5550101" date="1750000000000" type="1" subject="null"
    body="Hi &#55357;&#56832; &#x1F600; &#10;&#0;&#xB;&#9999999999;" toa="null" read="1" />
  <mms date="1750000100000" rr="129" sub="null" msg_box="1"
    address="+491705550101~+491705550102~insert-address-token" contact_name="A, B">
    <parts><part seq="-1" ct="application/smil" text='&lt;smil&gt;' />
      <part seq="0" ct="text/plain" text="Wow &#55358;&#56596;"/></parts>
    <addrs><addr address="+491705550102" type="137" charset="106" />
      <addr address="+491705550101" type="151" charset="106" /></addrs>
  </mms>
  <sms protocol="0" address="Shop" date="1750000200000" type="1" body="Ihr Paket"/>
</smses>
"""


@pytest.mark.req("CON-01")
def test_emoji_that_are_no_xml_end_no_file() -> None:
    assert [entry.found is not None for entry in read("calls_xml", BACKUP).entries] == [True] * 3


@pytest.mark.req("CON-01")
def test_message_to_several_people_is_from_one_of_them() -> None:
    group = talks("calls_xml", BACKUP)[1]
    assert [(who.role, who.address) for who in group.participants] == [
        ("from", "+491705550102"),
        ("to", "+491705550101"),
    ]
    sent = talks("calls_xml", BACKUP.replace(b'msg_box="1"', b'msg_box="2"'))[1]
    assert {who.role for who in sent.participants} == {"to"}
