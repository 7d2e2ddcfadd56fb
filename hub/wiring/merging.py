"""What happens to each table that names contacts when two contacts become one.

A slice with such a table joins here, in the order in which its rows move; a test asks it of every
foreign key.
"""

from typing import Final

from hub.domains.circles import service as circles
from hub.domains.contact_moving.schemas import Mover, Stays
from hub.domains.contact_moving.service import OWN_MOVERS, OWN_STAYS, rows

MOVERS: Final[tuple[Mover, ...]] = (
    *OWN_MOVERS,
    rows("interactions", can_meet=False),
    rows("interaction_participants"),
    Mover(
        "circle_members",
        circles.join_circles_of,
        circles.leave_circles_of,
        hold=circles.hold_circles,
    ),
    rows("contact_relationship_types"),
    rows("nudges"),
    rows("connection_goals"),
    rows("connection_paths", "target_contact_id"),
    rows("connection_path_steps", key=("path_id", "position")),
    rows("reminders"),
    rows("insight_contacts", key=("insight_id",)),
)
STAYS: Final[tuple[Stays, ...]] = (
    *OWN_STAYS,
    Stays("import_rows", "it says which contact an import has made"),
    Stays("relationship_health", "computed anew from the interactions that moved"),
    Stays("health_snapshots", "of days on which they were two"),
)
