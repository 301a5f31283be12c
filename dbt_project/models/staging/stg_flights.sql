-- grain: one scheduled flight
with

source as (
    select * from {{ source('flights', 'flights') }}
),

final as (
    select
        concat_ws(
            '_',
            make_date(year::int, month::int, day::int)::string,
            carrier || flight,
            origin || '-' || dest,
            lpad(sched_dep_time::string, 4, '0')
        ) as flight_id,
        carrier,
        flight as flight_number,
        tailnum as tail_number,
        origin,
        dest as destination,
        make_date(year::int, month::int, day::int) as scheduled_departure_date_local,
        {{ clock_minutes('sched_dep_time') }} as scheduled_departure_minute_local,
        {{ clock_minutes('sched_arr_time') }} as scheduled_arrival_minute_local,
        {{ plus_minutes('time_hour', 'minute') }} as scheduled_departure_utc,
        dep_delay as departure_delay_minutes,
        arr_delay as arrival_delay_minutes,
        distance as distance_miles,
        dep_time is not null as has_departed
    from source
)

select * from final
