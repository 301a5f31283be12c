-- grain: one scheduled flight, in UTC, with the moment each outcome became known
with

flights as (
    select * from {{ ref('stg_flights') }}
),

airports as (
    select * from {{ ref('dim_airports') }}
),

airlines as (
    select * from {{ ref('stg_airlines') }}
),

-- the arrival's clock reading, on the departure's calendar day at the destination
same_day as (
    select
        flights.*,
        airlines.airline_name,
        destinations.time_zone as destination_time_zone,
        {{ plus_minutes('flights.scheduled_departure_date_local::timestamp', 'flights.scheduled_arrival_minute_local') }}
            as arrival_clock_local
    from flights
    left join airports as destinations on flights.destination = destinations.airport_code
    left join airlines on flights.carrier = airlines.carrier
),

-- an arrival that would precede its departure belongs to the next day
scheduled as (
    select
        *,
        case
            when {{ local_to_utc('arrival_clock_local', 'destination_time_zone') }} > scheduled_departure_utc
                then {{ local_to_utc('arrival_clock_local', 'destination_time_zone') }}
            else {{ local_to_utc("arrival_clock_local + interval 1 day", 'destination_time_zone') }}
        end as scheduled_arrival_utc
    from same_day
),

final as (
    select
        flight_id,
        carrier,
        airline_name,
        flight_number,
        tail_number,
        origin,
        destination,
        distance_miles,
        scheduled_departure_date_local,
        scheduled_departure_minute_local,
        scheduled_departure_utc,
        scheduled_arrival_utc,
        departure_delay_minutes,
        arrival_delay_minutes,
        not has_departed as is_cancelled,
        has_departed and arrival_delay_minutes is null as is_diverted,
        {{ plus_minutes('scheduled_departure_utc', 'departure_delay_minutes') }} as departed_utc,
        {{ plus_minutes('scheduled_arrival_utc', 'arrival_delay_minutes') }} as arrived_utc
    from scheduled
)

select * from final
