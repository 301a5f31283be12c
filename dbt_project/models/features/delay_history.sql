-- grain: one history, entity and moment; running totals of the delays that were known by then
with

flights as (
    select * from {{ ref('fct_flights') }}
),

known as (
    {% for history in delay_histories() %}
    select
        '{{ history.name }}' as history,
        {{ history.entity }} as entity,
        {{ history.event }}_utc as known_utc,
        {{ 'departure' if history.event == 'departed' else 'arrival' }}_delay_minutes as delay_minutes
    from flights
    where {{ history.event }}_utc is not null and {{ history.entity }} is not null
    {{ "union all" if not loop.last }}
    {% endfor %}
),

final as (
    select distinct
        history,
        entity,
        known_utc,
        sum(delay_minutes) over up_to_now as total_delay_minutes,
        (sum((delay_minutes >= {{ var('late_after_minutes') }})::int) over up_to_now)::bigint as total_late,
        count(*) over up_to_now as total_flights
    from known
    -- the default RANGE frame takes all events of one moment together; ROWS would order them arbitrarily
    window up_to_now as (partition by history, entity order by known_utc)
)

select * from final
