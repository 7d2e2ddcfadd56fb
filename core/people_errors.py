"""Errors about people: contacts, interactions, circles, goals, and what imports them."""

from typing import Final

from core.error_spec import ErrorSpec

PEOPLE_CATALOGUE: Final[dict[str, ErrorSpec]] = {
    "contact.not_found": ErrorSpec(404, "Contact not found", "List yours with GET /v1/contacts."),
    "contact.merged": ErrorSpec(
        410, "Contact merged", "Use the contact that `detail` names, or undo the merge."
    ),
    "contact.self": ErrorSpec(
        409,
        "One's own contact",
        "Oneself is neither archived, merged away, put into circles nor given types.",
    ),
    "contact.interest_not_found": ErrorSpec(
        404, "Interest not found", "List them with GET /v1/contacts/{id}/interests."
    ),
    "contact.link_to_itself": ErrorSpec(422, "Link to itself", "Name two different contacts."),
    "contact.link_not_found": ErrorSpec(
        404, "Link not found", "List them with GET /v1/contacts/{id}/links."
    ),
    "contact.merge_not_found": ErrorSpec(
        404, "Merge not found", "List yours with GET /v1/contacts/merges."
    ),
    "contact.merge_with_itself": ErrorSpec(
        422, "Merge with itself", "Name two different contacts."
    ),
    "contact.merge_superseded": ErrorSpec(
        409, "Merged further", "Undo the later merge of the kept contact first."
    ),
    "contact.method_invalid": ErrorSpec(
        422, "Not an address", "Send an e-mail address as it would stand in a letter's head."
    ),
    "contact.method_limit": ErrorSpec(
        409, "Too many addresses", "Remove one of the contact's 50 addresses first."
    ),
    "contact.method_not_found": ErrorSpec(
        404, "Contact's address not found", "List them with GET /v1/contacts/{id}/methods."
    ),
    "interaction.not_found": ErrorSpec(
        404, "Interaction not found", "List yours with GET /v1/interactions."
    ),
    "interaction.not_manual": ErrorSpec(
        409,
        "Told by a source",
        "Only `contact_id` and `is_private` change of what rings, messages and imports told.",
    ),
    "circle.not_found": ErrorSpec(404, "Circle not found", "List yours with GET /v1/circles."),
    "circle.name_taken": ErrorSpec(
        409, "Circle name in use", "Choose another name: case does not tell two circles apart."
    ),
    "circle.limit": ErrorSpec(409, "Too many circles", "Remove a circle before making another."),
    "relationship.type_not_found": ErrorSpec(
        404, "Relationship type not found", "List them with GET /v1/relationship-types."
    ),
    "relationship.type_builtin": ErrorSpec(
        409, "Built-in relationship type", "Add one of your own with other weights, and use that."
    ),
    "relationship.type_name_taken": ErrorSpec(
        409, "Relationship type name in use", "Choose another name, or change that type."
    ),
    "relationship.type_limit": ErrorSpec(
        409, "Too many relationship types", "Remove one of yours before adding another."
    ),
    "relationship.type_weights": ErrorSpec(
        422, "Weights do not add up", "Share out exactly 1 among the four weights."
    ),
    "health.unknown": ErrorSpec(
        404,
        "No health yet",
        "Record an interaction with the contact, or put them into a circle;"
        " who is archived has none.",
    ),
    "nudge.not_found": ErrorSpec(404, "Alert not found", "List yours with GET /v1/alerts."),
    "goal.not_found": ErrorSpec(404, "Goal not found", "List yours with GET /v1/goals."),
    "goal.limit": ErrorSpec(409, "Too many goals", "Remove goals that no longer matter."),
    "goal.status_invalid": ErrorSpec(
        409,
        "State does not follow",
        "Active goals are achieved or abandoned; abandoned ones become active again.",
    ),
    "goal.tag_not_found": ErrorSpec(404, "Tag not found", "List the tags with GET /v1/goal-tags."),
    "goal.tag_limit": ErrorSpec(409, "Too many tags", "A goal has up to 8 tags."),
    "path.not_found": ErrorSpec(404, "Path not found", "List yours with GET /v1/paths."),
    "path.limit": ErrorSpec(409, "Too many paths", "Remove paths that no longer matter."),
    "path.none": ErrorSpec(
        409, "No path", "Nobody whom you know leads there: add links between your contacts."
    ),
    "path.target_missing": ErrorSpec(
        422, "No target", "Name a contact, or a name, company or role."
    ),
    "path.target_unknown": ErrorSpec(
        404, "Target unknown", "Nobody in your address book fits: add them as a contact first."
    ),
    "reminder.not_found": ErrorSpec(
        404, "Reminder not found", "List yours with GET /v1/reminders."
    ),
    "reminder.limit": ErrorSpec(409, "Too many reminders", "Remove reminders that are over."),
    "reminder.closed": ErrorSpec(
        409, "Reminder over", "Give it a new time with PATCH, or make another one."
    ),
    "reminder.time_invalid": ErrorSpec(
        422, "Impossible time", "Send a time of the calendar that is not too far away."
    ),
    "reminder.recurrence_invalid": ErrorSpec(
        422,
        "Rule not understood",
        "Send an RRULE by days, weeks, months or years that names a day in the next ten years.",
    ),
    "insight.not_found": ErrorSpec(404, "Insight not found", "List yours with GET /v1/insights."),
    "import.not_found": ErrorSpec(404, "Import not found", "List yours with GET /v1/imports."),
    "import.empty": ErrorSpec(422, "Empty file", "Send the file itself as the body."),
    "import.too_many": ErrorSpec(
        422, "Too many entries", "Split it: a file may have up to 50,000 entries."
    ),
    "import.not_this_format": ErrorSpec(
        422, "Not this format", "Name the file's own `format`, or export it again."
    ),
    "import.columns_unknown": ErrorSpec(
        422,
        "Columns unknown",
        'The columns of this format are not there: send `format` "csv" with a `mapping`.',
    ),
    "import.mapping_invalid": ErrorSpec(
        422, "Mapping invalid", "Send `mapping` as JSON: the name of each column and its field."
    ),
    "import.unsafe": ErrorSpec(
        422, "Unsafe file", "It declares entities or nests beyond reason; export it again."
    ),
    "import.stalled": ErrorSpec(
        500, "Import stalled", "Start it again: what it has brought in is not brought in twice."
    ),
    "import.busy": ErrorSpec(
        409, "Imports under way", "Wait until one is done, or cancel one, and send it again."
    ),
    "import.state_invalid": ErrorSpec(
        409, "Not now", "Look at `status`: only a checked import starts, and a done one is undone."
    ),
}
