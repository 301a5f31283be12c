-- grain: one origin and moment; how many flights were due by then and had not left
-- A flight that has not left within the short window is due no longer: the data do not say when it was cancelled.
with

flights as (
    select * from {{ ref('fct_flights') }}
),

changes as (
    select
        origin,
        scheduled_departure_utc as moment_utc,
        1 as change
    from flights
    union all
    select
        origin,
        -- one that leaves early was never due; one that has not left is given up, as `least` passes over nulls
        greatest(
            scheduled_departure_utc,
            least(departed_utc, {{ plus_hours('scheduled_departure_utc', var('short_window_hours')) }})
        ) as moment_utc,
        -1 as change
    from flights
),

final as (
    select distinct
        origin,
        moment_utc,
        (sum(change) over (partition by origin order by moment_utc))::bigint as overdue_flights
    from changes
)

select * from final
