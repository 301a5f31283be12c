{#- A rolling history of delays: their mean and the share of late ones in a window that ends when a flight is predicted, of each
    flight of which such a delay was known. They are the running totals at that moment, less those at the window's start.

    entity: whose flights, an expression of columns that `fct_flights` and `prediction_times` both have.
    event: departed or arrived; a delay is known once the flight did.
    hours: the length of the window. -#}
{% macro rolling_delays(entity, event, hours) -%}
with

known as (
    select
        {{ entity }} as entity,
        {{ event }}_utc as known_utc,
        {{ 'departure' if event == 'departed' else 'arrival' }}_delay_minutes as delay_minutes
    from {{ ref('fct_flights') }}
    where {{ event }}_utc is not null and {{ entity }} is not null
),

-- decimals: a sum of floating-point numbers depends on their order in its last digits, and rows have none
at_moments as (
    select
        entity,
        known_utc,
        sum(delay_minutes::decimal(18, 3)) as delay_minutes,
        sum((delay_minutes >= {{ var('late_after_minutes') }})::int) as late,
        count(*) as flights
    from known
    group by entity, known_utc
),

totals as (
    select
        entity,
        known_utc,
        (sum(delay_minutes) over up_to_now)::double as delay_minutes,
        (sum(late) over up_to_now)::bigint as late,
        (sum(flights) over up_to_now)::bigint as flights
    from at_moments
    window up_to_now as (partition by entity order by known_utc)
),

predictions as (
    select
        flight_id,
        {{ entity }} as entity,
        predicted_utc,
        {{ plus_hours('predicted_utc', '-' ~ hours) }} as window_start_utc
    from {{ ref('prediction_times') }}
),

by_now as (
    {{ asof_join(
        'predictions',
        'totals',
        on={'entity': 'entity'},
        at=('predicted_utc', 'known_utc'),
        keep=['flight_id', 'entity', 'window_start_utc'],
        take={'flights': 'flights', 'delay_minutes': 'delay_minutes', 'late': 'late'}
    ) }}
),

by_start as (
    {{ asof_join(
        'by_now',
        'totals',
        on={'entity': 'entity'},
        at=('window_start_utc', 'known_utc'),
        keep=['flight_id', 'flights', 'delay_minutes', 'late'],
        take={'flights': 'flights_before', 'delay_minutes': 'delay_minutes_before', 'late': 'late_before'},
        how='left'
    ) }}
),

windows as (
    select
        flight_id,
        nullif(flights - coalesce(flights_before, 0), 0) as flights,
        delay_minutes - coalesce(delay_minutes_before, 0) as delay_minutes,
        late - coalesce(late_before, 0) as late
    from by_start
),

final as (
    select
        flight_id,
        (delay_minutes / flights)::double as mean_delay_minutes,
        (late / flights)::double as late_share
    from windows
)

select * from final
{%- endmacro %}
