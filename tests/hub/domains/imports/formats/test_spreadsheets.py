"""Address books as CSV, as Google and Outlook write them."""

import pytest

from tests.hub.domains.imports.formats.reading import methods, people, read

GOOGLE = (
    "\ufeffFirst Name,Middle Name,Last Name,Phonetic First Name,Name Prefix,Nickname,File As,"
    "Organization Name,Organization Title,Birthday,Notes,Photo,Labels,E-mail 1 - Label,"
    "E-mail 1 - Value,Phone 1 - Label,Phone 1 - Value\r\n"
    "Erika,Maria,Muster,,Dr.,,,Beispiel,Chefin, --03-02,,https://example.com/p.jpg,"
    '"* coworkers ::: Verein, alt ::: * myContacts",* Work,a@example.org ::: b@example.org,Mobile,'
    "+49 170 5550101\r\n"
    ",,,,,Joschi,,,,,,,* myContacts,,,Mobile,0170 5550102\r\n"
)
OUTLOOK = (
    '"Anrede","Vorname","Weitere Vornamen","Nachname","Firma","Position","Ort geschäftlich",'
    '"Telefon geschäftlich","Mobiltelefon","E-Mail-Adresse","E-Mail-Typ","E-Mail 2: Adresse",'
    '"Geburtstag","Kategorien","Notizen"\r\n'
    '"Frau","Erika","Maria","Muster","Beispiel GmbH","Chefin","Bonn","0228 55501","0170 55502",'
    '"erika@example.org","SMTP","","2.3.1980","Verein;Freunde","Zeile 1\r\nZeile 2"\r\n'
    '"","Max","","Muster","","","","","","max@example.org","SMTP","","0.0.00","",""\r\n'
)


@pytest.mark.req("CON-01")
def test_google_csv_keeps_middle_names_nicknames_and_labels() -> None:
    erika, joschi = people("google_csv", GOOGLE.encode())
    assert (erika.full_name, erika.company, erika.birthday) == (
        "Erika Maria Muster",
        "Beispiel",
        "--03-02",
    )
    assert erika.tags == ["coworkers", "Verein, alt"]
    assert methods(erika) == [
        ("email", "a@example.org", "Work"),
        ("email", "b@example.org", "Work"),
        ("phone", "+49 170 5550101", "Mobile"),
    ]
    assert (joschi.full_name, joschi.tags) == ("Joschi", [])


def test_google_csv_of_people_without_addresses_is_one_too() -> None:
    [found] = people("google_csv", b"First Name,Last Name,Labels\nAda,L,* myContacts\n")
    assert found.full_name == "Ada L"


@pytest.mark.req("CON-01")
@pytest.mark.parametrize("encoding", ["cp1252", "utf-16", "utf-8-sig"])
def test_outlook_csv_in_german_is_read_in_any_encoding(encoding: str) -> None:
    erika, max_ = people("outlook_csv", OUTLOOK.encode(encoding))
    assert (erika.full_name, erika.birthday, erika.location) == (
        "Erika Maria Muster",
        "1980-03-02",
        "Bonn",
    )
    assert (erika.tags, erika.notes) == (["Verein", "Freunde"], "Zeile 1\nZeile 2")
    assert methods(erika) == [
        ("phone", "0228 55501", "work"),
        ("phone", "0170 55502", "mobile"),
        ("email", "erika@example.org", None),
    ]
    assert (max_.full_name, max_.birthday) == ("Max Muster", None)


def test_one_day_behind_the_twelfth_says_where_days_are_in_all_of_a_file() -> None:
    head = b"First Name,Last Name,E-mail Address,Birthday\n"
    row = b"A,B,a@example.org,05/12/1990\n"
    british = b"C,D,c@example.org,31/12/1990\n"

    for data, days in (
        (head + row, ["1990-05-12"]),
        (head + row + british, ["1990-12-05", "1990-12-31"]),
    ):
        assert [found.birthday for found in people("outlook_csv", data)] == days
    mapped = people("csv", b"N;B\nA;05/12/1990\nC;31/12/1990\n", N="full_name", B="birthday")
    assert [found.birthday for found in mapped] == ["1990-12-05", "1990-12-31"]


def test_people_who_have_left_linkedin_have_no_name() -> None:
    data = (
        b'Notes:\r\n"When exporting your connection data, ..."\r\n\r\n'
        b"First Name,Last Name,URL,Email Address,Company,Position,Connected On\r\n"
        b",,,,,,10 Mar 2023\r\nAda,L,https://www.linkedin.com/in/ada,,,,10 Mar 2023\r\n"
    )
    gone, ada = list(read("linkedin_csv", data).entries)
    assert [problem.code for problem in gone.problems] == ["no_name"]
    assert ada.found is not None
