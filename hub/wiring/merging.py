"""What happens to each table that names contacts when two contacts become one.

A slice with such a table joins here, in the order in which its rows move; a test asks it of every
foreign key.
"""

from typing import Final

from hub.domains.contact_merges.movers import OWN_MOVERS, OWN_STAYS
from hub.domains.contact_merges.moving import Mover, Stays, rows

MOVERS: Final[tuple[Mover, ...]] = (
    *OWN_MOVERS,
    rows("interactions"),
    rows("interaction_participants"),
)
STAYS: Final[tuple[Stays, ...]] = (*OWN_STAYS,)
