"""Which of Debian's packages a machine without mosquitto needs."""

from hub.embedded import mosquitto

# As printed by apt-cache: unpacked libraries may need further ones; a virtual package in brackets.
DEPENDENCIES = """\
mosquitto
  Depends: adduser
  Depends: libwrap0
 |Depends: libsystemd0
  Depends: libelogind0
  Depends: <default-thing>
    other-thing
adduser
  Depends: passwd
  Depends: libadduser1
libwrap0
  Depends: libc6
  Depends: libnsl2
libsystemd0
  PreDepends: libcap2
libelogind0
libnsl2
  Depends: libtirpc3
libtirpc3
libc6
<default-thing>
passwd
libadduser1
"""


def test_libraries_of_libraries_are_fetched_and_programs_are_not():
    assert mosquitto.needed(DEPENDENCIES, ["libc6", "libcap2", "libsystemd0"]) == [
        "mosquitto",
        "libwrap0",
        "libnsl2",
        "libtirpc3",
    ]


def test_the_first_of_two_alternatives_is_fetched_when_neither_is_there():
    found = mosquitto.needed(DEPENDENCIES, ["libc6"])
    assert "libsystemd0" in found
    assert "libelogind0" not in found


def test_an_installed_alternative_spares_the_others():
    found = mosquitto.needed(DEPENDENCIES, ["libc6", "libelogind0"])
    assert "libsystemd0" not in found
    assert "libelogind0" not in found
