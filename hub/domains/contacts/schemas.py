"""Contacts as the REST interface takes and shows them, and as other slices hand them over."""

from datetime import date, datetime
from typing import Annotated, Final, Literal
from uuid import UUID

from msgspec import UNSET, Meta, Raw, Struct, UnsetType, field

from core.plain_text import UNSEEN

Source = Literal[
    "calendar", "email", "gmail", "import", "linkedin", "manual", "outlook", "phone", "ring"
]
MethodKind = Literal["email", "phone", "linkedin", "twitter", "url"]
LinkedBy = Literal["match", "ring"]
Order = Literal["recent", "name", "strength", "interaction"]
Frequency = Literal["daily", "weekly", "monthly", "quarterly", "rarely"]

METHODS_MAX: Final = 50
TAGS_MAX: Final = 50
NOTES_MAX_CHARS: Final = 10_000
YEAR_UNKNOWN: Final = 1604
"""Stands for no year, as in many address books: a leap year before all living people."""

# Python's `$` also stands before a last line feed, which `(?!\n)` refuses.
_LINE: Final = r"^(?=.*\S)[^\u0000-\u001f\u007f\u0085\u2028\u2029]*$(?!\n)"
# Somebody of whom no list shows anything cannot be chosen from it: not only marks and fillers.
_MARKS: Final = UNSEEN.encode("unicode_escape").decode()  # what documents show is to be seen
SEEN_LINE: Final = rf"^(?=.*[^\s\u034f\u115f\u1160\u2800\u3164\uffa0{_MARKS}])" + _LINE[1:]
Name = Annotated[
    str, Meta(min_length=1, max_length=200, pattern=SEEN_LINE, examples=["Ada Lovelace"])
]
PartOfName = Annotated[str, Meta(min_length=1, max_length=100, pattern=_LINE, examples=["Ada"])]
Line = Annotated[str, Meta(min_length=1, max_length=200, pattern=_LINE, examples=["Analytical"])]
Label = Annotated[str, Meta(min_length=1, max_length=50, pattern=_LINE, examples=["work"])]
Text = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=4000,
        pattern=r"^[^\u0000]*$",
        examples=["First programmer of the Analytical Engine."],
    ),
]
Notes = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=NOTES_MAX_CHARS,
        pattern=r"^[^\u0000]*$",
        examples=["Prefers letters."],
    ),
]
Web = Annotated[
    str,
    Meta(
        max_length=500,
        pattern=r"^https?://[!-~]+$(?!\n)",
        examples=["https://www.linkedin.com/in/ada"],
    ),
]
Picture = Annotated[
    str,
    Meta(
        max_length=2000,
        pattern=r"^https?://[!-~]+$(?!\n)",
        examples=["https://example.com/ada.png"],
    ),
]
Tag = Annotated[str, Meta(min_length=1, max_length=50, pattern=_LINE, examples=["investor"])]
Tags = Annotated[list[Tag], Meta(max_length=TAGS_MAX)]
Birthday = Annotated[
    str, Meta(pattern=r"^(\d{4}|-)-\d{2}-\d{2}$(?!\n)", examples=["1990-12-10", "--12-10"])
]
"""A date, or one without a year as in vCard 4 (RFC 6350, 4.3.1)."""
MethodValue = Annotated[
    str, Meta(min_length=1, max_length=500, pattern=_LINE, examples=["ada@example.com"])
]
Topics = Annotated[list[Line], Meta(max_length=20)]


class ProfessionalContext(
    Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """What one knows of a contact's work."""

    industry: Line | None = None
    seniority: Line | None = None
    skills: Topics = []
    met_where: Line | None = None
    about: Text | None = None


class PersonalContext(
    Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """What one knows of a contact's life."""

    family: Line | None = None
    languages: Topics = []
    hobbies: Topics = []
    about: Text | None = None


class Context(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What one knows of a contact beyond fields; the JSON of contacts.context."""

    professional: ProfessionalContext = field(default_factory=ProfessionalContext)
    personal: PersonalContext = field(default_factory=PersonalContext)


class NewMethod(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An address to add. The first of a kind is the primary one, unless another says it is."""

    kind: MethodKind
    value: MethodValue
    label: Label | None = None
    is_primary: bool = False


class NewContact(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A contact to add, with its addresses."""

    full_name: Name
    first_name: PartOfName | None = None
    last_name: PartOfName | None = None
    company: Line | None = None
    job_title: Line | None = None
    linkedin_url: Web | None = None
    avatar_url: Picture | None = None
    location: Line | None = None
    bio: Text | None = None
    notes: Notes | None = None
    birthday: Birthday | None = None
    context: Context = field(default_factory=Context)
    source: Source = "manual"
    frequency: Frequency | None = None
    tags: Tags = []
    methods: Annotated[list[NewMethod], Meta(max_length=METHODS_MAX)] = []


class ChangeContact(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Changes of a contact; absent fields stay as they are, null empties one."""

    full_name: Name | UnsetType = UNSET
    first_name: PartOfName | UnsetType | None = UNSET
    last_name: PartOfName | UnsetType | None = UNSET
    company: Line | UnsetType | None = UNSET
    job_title: Line | UnsetType | None = UNSET
    linkedin_url: Web | UnsetType | None = UNSET
    avatar_url: Picture | UnsetType | None = UNSET
    location: Line | UnsetType | None = UNSET
    bio: Text | UnsetType | None = UNSET
    notes: Notes | UnsetType | None = UNSET
    birthday: Birthday | UnsetType | None = UNSET
    context: Context | UnsetType = UNSET
    frequency: Frequency | UnsetType | None = UNSET
    tags: Tags | UnsetType = UNSET


class ChangeMethod(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Changes of an address; another value is another address: add that and remove this."""

    label: Label | UnsetType | None = UNSET
    is_primary: bool | UnsetType = UNSET
    """Of each kind one is: `true` takes it from the other, `false` gives it to another, if any."""


class Address(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An address to search for, however it is written."""

    kind: MethodKind
    value: MethodValue


class Search(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to search for: one of `text` and `address`.

    In a body: what is asked of people stands in no URL, and so in no log of anybody.
    """

    text: Annotated[str, Meta(min_length=1, max_length=200, examples=["ada anal"])] | None = None
    """Beginnings of words of name, company, job title and tags; all of them must be there."""
    address: Address | None = None
    archived: bool = False
    limit: Annotated[int, Meta(ge=1, le=200)] = 50
    cursor: Annotated[str, Meta(max_length=512)] | None = None


class Narrowed(Struct, frozen=True):
    """Which contacts a list shows."""

    archived: bool = False
    tag: str | None = None
    company: str | None = None
    source: Source | None = None
    linked: bool | None = None
    """Whether they are users here."""


class ListedContact(Struct, frozen=True):
    """A contact in a list: without what only its own page shows."""

    id: UUID
    full_name: str
    first_name: str | None
    last_name: str | None
    company: str | None
    job_title: str | None
    avatar_url: str | None
    location: str | None
    source: Source
    strength: float
    last_interaction_at: datetime | None
    frequency: Frequency | None
    tags: list[str]
    linked_user_id: UUID | None
    archived_at: datetime | None
    created_at: datetime
    updated_at: datetime


class PlacedContact(ListedContact, frozen=True):
    """A contact of a list by name, with its place there."""

    name_plain: str


class TagCount(Struct, frozen=True):
    """A tag and how many contacts have it."""

    tag: str
    contacts: int


class Contact(Struct, frozen=True, kw_only=True):
    """A contact as its owner sees it."""

    id: UUID
    full_name: str
    first_name: str | None
    last_name: str | None
    company: str | None
    job_title: str | None
    linkedin_url: str | None
    avatar_url: str | None
    location: str | None
    bio: str | None
    notes: str | None
    birthday: str | None
    context: Context
    source: Source
    strength: float
    last_interaction_at: datetime | None
    frequency: Frequency | None
    tags: list[str]
    is_self: bool
    linked_user_id: UUID | None
    linked_by: LinkedBy | None
    archived_at: datetime | None
    created_at: datetime
    updated_at: datetime


class ContactRow(Struct, frozen=True):
    """A contact as the database has it."""

    id: UUID
    user_id: UUID
    full_name: str
    first_name: str | None
    last_name: str | None
    company: str | None
    job_title: str | None
    linkedin_url: str | None
    avatar_url: str | None
    location: str | None
    bio: str | None
    notes: bytes | None
    birthday: date | None
    context: Raw
    source: Source
    strength: float
    last_interaction_at: datetime | None
    frequency: Frequency | None
    tags: list[str]
    is_self: bool
    linked_user_id: UUID | None
    linked_by: LinkedBy | None
    archived_at: datetime | None
    merged_into_id: UUID | None
    created_at: datetime
    updated_at: datetime


class Reached(Struct, frozen=True):
    """Which of the owner's contacts an address belongs to; `position`: which of the asked."""

    position: int
    contact_id: UUID


class Method(Struct, frozen=True, kw_only=True):
    """An address of a contact, as it was written."""

    id: UUID
    contact_id: UUID
    kind: MethodKind
    value: str
    label: str | None
    is_primary: bool
    source: Source
    created_at: datetime
    updated_at: datetime


class MethodRow(Struct, frozen=True):
    """An address as the database has it."""

    id: UUID
    contact_id: UUID
    kind: MethodKind
    value: bytes
    label: str | None
    is_primary: bool
    source: Source
    created_at: datetime
    updated_at: datetime


class Methods(Struct, frozen=True):
    """All addresses of a contact: at most 50, and those of whom was merged into it."""

    items: list[Method]
