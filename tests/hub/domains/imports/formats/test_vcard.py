"""Cards as telephones and address books of these years write them."""

import pytest

from hub.domains.imports.formats.found import RowProblem
from tests.hub.domains.imports.formats.reading import methods, people, read

IPHONE = """BEGIN:VCARD\r
VERSION:3.0\r
PRODID:-//Apple Inc.//iPhone OS 18.1//EN\r
N:Muster;Erika;Maria;Dr.;\r
FN:Dr. Erika Maria Muster\r
X-PHONETIC-FIRST-NAME:Erika\r
ORG:Beispiel GmbH;Vertrieb\r
EMAIL;type=INTERNET;type=HOME:erika@example.org\r
item1.EMAIL;type=INTERNET;type=pref:erika.muster@example.com\r
item1.X-ABLabel:Schule\r
item2.TEL;type=CELL;type=VOICE:+49 170 5550101\r
item2.X-ABLabel:_$!<Mobile>!$_\r
item3.URL;type=WORK:https\\://example.com/erika\r
item4.ADR;type=HOME;type=pref:;;Hauptstr. 1;Bonn;;53111;Deutschland\r
item4.X-ABADR:de\r
BDAY;X-APPLE-OMIT-YEAR=1604:1604-03-02\r
X-SOCIALPROFILE;type=twitter:https://twitter.com/erika\r
PHOTO;ENCODING=b;TYPE=JPEG:/9j/4AAQSkZJRgABAQAAAQABAAD/2wCEAAEBAQ\r
 EBAQEBAQEBAQ==\r
NOTE:Zeile eins\\nZeile zwei\\, mit Komma\r
END:VCARD\r
"""
SERVER = """BEGIN:VCARD
VERSION:4.0
N;ALTID=1;LANGUAGE=jp:山田;太郎;;;
N;ALTID=1;LANGUAGE=en:Yamada;Taro;;;
FN;ALTID=1:山田太郎
FN;ALTID=1;LANGUAGE=en:Taro Yamada
TEL;VALUE=uri;PREF=2;TYPE="voice,home":tel:+81-3-5550-0101
TEL;VALUE=uri;PREF=1;TYPE="voice,cell":tel:+81-90-5550-0102
EMAIL;TYPE=work:taro@example.jp
END:VCARD
"""


@pytest.mark.req("CON-01")
def test_card_of_an_iphone_has_its_own_labels() -> None:
    [found] = people("vcard", IPHONE.encode())
    assert (found.full_name, found.first_name, found.last_name) == (
        "Dr. Erika Maria Muster",
        "Erika",
        "Muster",
    )
    assert (found.company, found.location, found.birthday) == (
        "Beispiel GmbH",
        "Bonn, Deutschland",
        "--03-02",
    )
    assert found.notes == "Zeile eins\nZeile zwei, mit Komma"
    assert methods(found) == [
        ("email", "erika.muster@example.com", "Schule"),
        ("email", "erika@example.org", "home"),
        ("phone", "+49 170 5550101", "mobile"),
        ("url", "https://example.com/erika", "work"),
        ("twitter", "https://twitter.com/erika", "twitter"),
    ]


@pytest.mark.req("CON-01")
def test_of_what_a_card_says_in_several_languages_the_first_counts() -> None:
    [found] = people("vcard", SERVER.encode())
    assert (found.full_name, found.last_name) == ("山田太郎", "山田")


def test_what_a_card_prefers_comes_first() -> None:
    [found] = people("vcard", SERVER.encode())
    assert methods(found) == [
        ("phone", "+81-90-5550-0102", "cell"),
        ("phone", "+81-3-5550-0101", "home"),
        ("email", "taro@example.jp", "work"),
    ]


@pytest.mark.req("CON-01")
def test_card_of_an_android_telephone_is_read() -> None:
    data = (
        "BEGIN:VCARD\r\nVERSION:2.1\r\n"
        "N;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:=4D=C3=BC=6C=6C=65=72;=4A=C3=BC=72=67;=45=72="
        "\r\n=6E=73=74;;\r\n"
        "TEL;CELL;PREF:0170-555-0103\r\n"
        "EMAIL;HOME;ENCODING=8BIT;CHARSET=ISO-8859-1:j@example.com\r\n"
        "NOTE;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:=45=69=6E=65=20=6C=61=6E=67=65=\r\n"
        "=20=4E=6F=74=69=7A\r\nEND:VCARD\r\n"
    )
    [found] = people("vcard", data.encode())
    assert (found.full_name, found.first_name, found.notes) == (
        "Jürg Ernst Müller",
        "Jürg",
        "Eine lange Notiz",
    )


def test_groups_are_nobody() -> None:
    for kind in ("KIND:group", "X-ADDRESSBOOKSERVER-KIND:group", "item1.KIND:Location"):
        data = f"BEGIN:VCARD\nFN:Familie\n{kind}\nMEMBER:urn:uuid:1\nEND:VCARD\n"
        [entry] = read("vcard", data.encode()).entries
        assert entry.found is None
        assert entry.problems == (RowProblem("not_a_person", "KIND"),)
    [company] = people("vcard", b"BEGIN:VCARD\nKIND:org\nORG:ACME\nEND:VCARD\n")
    assert company.full_name == "ACME"
