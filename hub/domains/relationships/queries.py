"""SQL of the health of relationships.

It is written by the hub alone, which counts private interactions too. Locks are taken in one
order: rows of health by user and contact, then contacts by id.
"""

from datetime import date
from uuid import UUID

from core.db import command, query
from hub.domains.relationships.schemas import (
    Cursor,
    HealthItem,
    HealthRow,
    Key,
    LateShard,
    Past,
    Snapshot,
)

list_health = query(
    HealthItem,
    """
    SELECT h.contact_id, c.full_name, h.score, h.strength, h.band, h.trend, h.last_touch_at,
        h.next_touch_at, h.computed_at
    FROM relationship_health AS h
    JOIN contacts AS c ON c.user_id = h.user_id AND c.id = h.contact_id
    WHERE h.user_id = app.user_id()
        AND c.archived_at IS NULL
        AND ($1::text IS NULL OR h.band = $1::text)
        AND ($2::uuid[] IS NULL OR h.contact_id = ANY($2::uuid[]))
        AND (h.score, h.contact_id) > (
            coalesce($3::float8, -1), coalesce($4::uuid, '00000000-0000-0000-0000-000000000000')
        )
    ORDER BY h.score, h.contact_id
    LIMIT $5
    """,
)

find_health = query(
    HealthRow,
    """
    SELECT contact_id, score, strength, band, trend, band_since, last_touch_at, next_touch_at,
        components, computed_at
    FROM relationship_health
    WHERE user_id = app.user_id() AND contact_id = $1
    """,
)

list_snapshots = query(
    Snapshot,
    """
    SELECT taken_on, score
    FROM health_snapshots
    WHERE user_id = app.user_id()
        AND contact_id = $1
        AND ($2::date IS NULL OR taken_on < $2::date)
    ORDER BY taken_on DESC
    LIMIT $3
    """,
)

# And the last one before, whose score held when the range began.
read_series = query(
    Snapshot,
    """
    SELECT taken_on, score
    FROM health_snapshots
    WHERE user_id = app.user_id()
        AND contact_id = $1
        AND taken_on >= coalesce(
            (
                SELECT max(taken_on)
                FROM health_snapshots
                WHERE user_id = app.user_id() AND contact_id = $1 AND taken_on <= $2
            ),
            $2
        )
        AND taken_on <= $3
    ORDER BY taken_on
    """,
)

lock_health = query(
    Key,
    """
    SELECT user_id, contact_id
    FROM relationship_health
    WHERE user_id = $1 AND contact_id = $2
    FOR NO KEY UPDATE
    """,
    login="system",
)

lock_contact = query(
    UUID,
    "SELECT id FROM contacts WHERE user_id = $1 AND id = $2 FOR NO KEY UPDATE",
    login="system",
)

# By day, since a hundred messages of an evening are one contact; a day stands where its last one
# is. Clocks of people and of hosts may be minutes ahead. Contact by contact: one step into the
# index of each, whoever's partition it is in. The power() of PostgreSQL raises an error where the
# result is next to 0, hence the bound of the exponents.
read_pasts = query(
    Past,
    """
    SELECT c.user_id, c.id AS contact_id, asked.cadence_days, asked.decay_rate,
        kind.recency AS recency_weight, kind.frequency AS frequency_weight,
        kind.reciprocity AS reciprocity_weight, kind.duration AS duration_weight,
        coalesce(past.first_at, circle.joined_at, c.created_at) AS since,
        past.last_at AS last_touch_at,
        past.contact_days, past.inbound, past.outbound, past.minutes, past.lasting_days,
        past.lasting_minutes, past.all_days, past.all_inbound_days, past.all_outbound_days,
        past.all_hours,
        h.band, h.band_since, h.fell_at, h.baseline, h.told_score, h.told_day_score, h.computed_at
    FROM unnest($1::uuid[], $2::uuid[]) AS k (user_id, contact_id)
    JOIN contacts AS c
        ON c.user_id = k.user_id
        AND c.id = k.contact_id
        AND c.archived_at IS NULL
        AND NOT c.is_self
    LEFT JOIN relationship_health AS h ON h.user_id = c.user_id AND h.contact_id = c.id
    LEFT JOIN LATERAL (
        SELECT ci.cadence_days, m.created_at AS joined_at
        FROM circle_members AS m
        JOIN circles AS ci ON ci.user_id = m.user_id AND ci.id = m.circle_id
        WHERE m.user_id = c.user_id AND m.contact_id = c.id AND m.is_primary
    ) AS circle ON true
    CROSS JOIN LATERAL (
        SELECT coalesce(avg((t.scoring_weights ->> 'recency')::float8), 0.4) AS recency,
            coalesce(avg((t.scoring_weights ->> 'frequency')::float8), 0.3) AS frequency,
            coalesce(avg((t.scoring_weights ->> 'reciprocity')::float8), 0.2) AS reciprocity,
            coalesce(avg((t.scoring_weights ->> 'duration')::float8), 0.1) AS duration,
            coalesce(avg(t.decay_rate), 1) AS decay_rate
        FROM contact_relationship_types AS r
        JOIN relationship_types AS t ON t.id = r.relationship_type_id
        WHERE r.user_id = c.user_id AND r.contact_id = c.id
    ) AS kind
    CROSS JOIN LATERAL (
        SELECT kind.decay_rate,
            coalesce(
                circle.cadence_days::float8,
                CASE c.frequency
                    WHEN 'daily' THEN 1
                    WHEN 'weekly' THEN 7
                    WHEN 'monthly' THEN 30
                    WHEN 'quarterly' THEN 91
                    WHEN 'rarely' THEN 182
                END,
                91
            ) AS cadence_days
    ) AS asked
    CROSS JOIN LATERAL (
        SELECT min(faded.first_at) AS first_at,
            max(faded.at) AS last_at,
            coalesce(sum(faded.pace), 0) AS contact_days,
            coalesce(sum(faded.pace) FILTER (WHERE faded.is_inbound), 0) AS inbound,
            coalesce(sum(faded.pace) FILTER (WHERE faded.is_outbound), 0) AS outbound,
            coalesce(sum(faded.pace * faded.minutes), 0) AS minutes,
            coalesce(sum(faded.lasting), 0) AS lasting_days,
            coalesce(sum(faded.lasting * faded.minutes), 0) AS lasting_minutes,
            count(faded.at) AS all_days,
            count(*) FILTER (WHERE faded.is_inbound) AS all_inbound_days,
            count(*) FILTER (WHERE faded.is_outbound) AS all_outbound_days,
            coalesce(sum(faded.minutes), 0) / 60 AS all_hours
        FROM (
            SELECT day.first_at, day.at, day.is_inbound, day.is_outbound, day.minutes,
                power(
                    2::float8,
                    -least(day.age_days * asked.decay_rate / asked.cadence_days / 4, 500)
                ) AS pace,
                power(2::float8, -least(day.age_days / 365, 500)) AS lasting
            FROM (
                SELECT min(i.occurred_at) AS first_at,
                    max(i.occurred_at) AS at,
                    bool_or(i.direction <> 'outbound') AS is_inbound,
                    bool_or(i.direction <> 'inbound') AS is_outbound,
                    coalesce(sum(i.duration_seconds), 0)::float8 / 60 AS minutes,
                    greatest(
                        0, extract(epoch FROM $3::timestamptz - max(i.occurred_at))::float8 / 86400
                    ) AS age_days
                FROM app.contacts_met() AS i
                WHERE i.user_id = c.user_id
                    AND i.contact_id = c.id
                    AND i.occurred_at <= $3::timestamptz + interval '5 minutes'
                GROUP BY (i.occurred_at AT TIME ZONE 'UTC')::date
            ) AS day
        ) AS faded
    ) AS past
    WHERE past.last_at IS NOT NULL OR circle.cadence_days IS NOT NULL OR c.frequency IS NOT NULL
    """,
    login="system",
)

write_health = command(
    """
    INSERT INTO relationship_health AS h (
        user_id, contact_id, score, strength, band, trend, components, last_touch_at,
        next_touch_at, band_since, fell_at, baseline, told_score, told_day_score, computed_at
    )
    SELECT n.user_id, n.contact_id, n.score, n.strength, n.band, n.trend, n.components::jsonb,
        n.last_touch_at, n.next_touch_at, n.band_since, n.fell_at, n.baseline, n.told_score,
        n.day_score, $1
    FROM unnest(
        $2::uuid[], $3::uuid[], $4::float8[], $5::float8[], $6::text[], $7::text[], $8::text[],
        $9::timestamptz[], $10::timestamptz[], $11::timestamptz[], $12::timestamptz[],
        $13::float8[], $14::float8[], $15::smallint[]
    ) AS n (
        user_id, contact_id, score, strength, band, trend, components, last_touch_at,
        next_touch_at, band_since, fell_at, baseline, told_score, day_score
    )
    ON CONFLICT (user_id, contact_id) DO UPDATE
    SET score = excluded.score, strength = excluded.strength, band = excluded.band,
        trend = excluded.trend, components = excluded.components,
        last_touch_at = excluded.last_touch_at, next_touch_at = excluded.next_touch_at,
        band_since = excluded.band_since, fell_at = excluded.fell_at,
        baseline = excluded.baseline, told_score = excluded.told_score,
        told_day_score = excluded.told_day_score, computed_at = excluded.computed_at
    """,
    login="system",
)

# Rounded, so that an address book is not written anew each night. Whoever gets a snapshot is locked
# as well: its foreign key would otherwise do so later, out of order.
write_strengths = command(
    """
    WITH locked AS (
        SELECT c.user_id, c.id, n.strength
        FROM unnest($1::uuid[], $2::uuid[], $3::float8[], $4::boolean[]) AS n (
            user_id, contact_id, strength, has_snapshot
        )
        JOIN contacts AS c ON c.user_id = n.user_id AND c.id = n.contact_id
        WHERE c.strength <> n.strength OR n.has_snapshot
        ORDER BY c.id
        FOR NO KEY UPDATE OF c
    )
    UPDATE contacts AS c
    SET strength = l.strength
    FROM locked AS l
    WHERE c.user_id = l.user_id AND c.id = l.id AND c.strength <> l.strength
    """,
    login="system",
)

write_snapshots = command(
    """
    INSERT INTO health_snapshots (user_id, contact_id, taken_on, score)
    SELECT n.user_id, n.contact_id, $1, n.score
    FROM unnest($2::uuid[], $3::uuid[], $4::smallint[]) AS n (user_id, contact_id, score)
    ON CONFLICT (user_id, contact_id, taken_on) DO UPDATE SET score = excluded.score
    """,
    login="system",
)

forget_health = command(
    """
    DELETE FROM relationship_health AS h
    USING unnest($1::uuid[], $2::uuid[]) AS k (user_id, contact_id)
    WHERE h.user_id = k.user_id AND h.contact_id = k.contact_id
    """,
    login="system",
)

# Any of them: one whose computation fails, again and again, would otherwise be in all others' way.
take_shard = query(
    Cursor,
    """
    SELECT shard, after_user_id, after_contact_id
    FROM health_shards
    WHERE calculated_on < $1
    ORDER BY random()
    LIMIT 1
    FOR NO KEY UPDATE SKIP LOCKED
    """,
    login="system",
)

# Without an OR, and by all columns of the index of shards: a plan for any position would otherwise
# filter, and read a shard from its beginning or through all others.
next_of_shard = query(
    Key,
    """
    SELECT user_id, contact_id
    FROM relationship_health
    WHERE shard = $1
        AND (shard, user_id, contact_id) > (
            $1,
            coalesce($2::uuid, '00000000-0000-0000-0000-000000000000'),
            coalesce($3::uuid, '00000000-0000-0000-0000-000000000000')
        )
    ORDER BY shard, user_id, contact_id
    LIMIT $4
    FOR NO KEY UPDATE
    """,
    login="system",
)

advance_shard = command(
    "UPDATE health_shards SET after_user_id = $2, after_contact_id = $3 WHERE shard = $1",
    login="system",
)

finish_shard = command(
    """
    UPDATE health_shards
    SET calculated_on = $2, after_user_id = NULL, after_contact_id = NULL
    WHERE shard = $1
    """,
    login="system",
)

find_night = query(date, "SELECT min(calculated_on) FROM health_shards", login="system")

# A shard without anything that is older is not behind: it is of a hub that has just been set up.
list_late = query(
    LateShard,
    """
    SELECT s.shard, s.calculated_on
    FROM health_shards AS s
    WHERE s.calculated_on < $1
        AND EXISTS (
            SELECT FROM relationship_health AS h
            WHERE h.shard = s.shard AND h.computed_at < $2
        )
    ORDER BY s.calculated_on, s.shard
    """,
    login="system",
)

drop_snapshots = query(int, "SELECT app.drop_health_snapshots($1)", login="system")
