-- grain: one scheduled flight; only what was known at its prediction time, beside its labels
with

flights as (
    select * from {{ ref('fct_flights') }}
),

planes as (
    select * from {{ ref('stg_planes') }}
),

weather as (
    select * from {{ ref('weather_at_prediction') }}
),

waiting as (
    select * from {{ ref('backlog_at_prediction') }}
),

delays as (
    select * from {{ ref('delays_at_prediction') }}
),

final as (
    select
        flights.flight_id,
        flights.scheduled_departure_utc,
        delays.predicted_utc,
        weather.known_utc as weather_known_utc,

        flights.carrier,
        flights.origin,
        flights.destination,
        flights.scheduled_departure_minute_local::double as scheduled_departure_minute_local,
        {{ iso_day_of_week('flights.scheduled_departure_date_local') }}::double as day_of_week,
        {{ minutes_between('flights.scheduled_departure_utc', 'flights.scheduled_arrival_utc') }}::double
            as scheduled_duration_minutes,
        flights.distance_miles::double as distance_miles,

        planes.seat_count::double as plane_seats,
        (year(flights.scheduled_departure_date_local) - planes.built_year)::double as plane_age_years,

        weather.temperature_fahrenheit::double as temperature_fahrenheit,
        weather.dew_point_fahrenheit::double as dew_point_fahrenheit,
        weather.humidity_percent::double as humidity_percent,
        weather.wind_direction_degrees::double as wind_direction_degrees,
        weather.wind_speed_mph::double as wind_speed_mph,
        weather.wind_gust_mph::double as wind_gust_mph,
        weather.precipitation_inches::double as precipitation_inches,
        weather.pressure_millibars::double as pressure_millibars,
        weather.visibility_miles::double as visibility_miles,

        waiting.overdue_flights::double as overdue_flights,
        {% for history in delay_histories() %}
        delays.{{ history }}_mean_delay_minutes,
        delays.{{ history }}_late_share,
        {% endfor %}

        flights.arrival_delay_minutes,
        flights.arrival_delay_minutes >= {{ var('late_after_minutes') }} as is_late,
        flights.arrived_utc as label_known_utc,
        flights.is_cancelled,
        flights.is_diverted
    from flights
    inner join delays on flights.flight_id = delays.flight_id
    left join planes on flights.tail_number = planes.tail_number
    left join weather on flights.flight_id = weather.flight_id
    left join waiting on flights.flight_id = waiting.flight_id
)

select * from final
