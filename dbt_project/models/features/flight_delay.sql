-- grain: one scheduled flight; only what was known at its prediction time, beside its labels
with

fct_flights as (
    select * from {{ ref('fct_flights') }}
),

planes as (
    select * from {{ ref('stg_planes') }}
),

stg_weather as (
    select * from {{ ref('stg_weather') }}
),

backlog as (
    select * from {{ ref('departure_backlog') }}
),

delay_history as (
    select * from {{ ref('delay_history') }}
),

flights as (
    select
        *,
        {{ plus_minutes('scheduled_departure_utc', '-' ~ var('prediction_horizon_minutes')) }} as predicted_utc,
    from fct_flights
),

weather_known as (
    select
        *,
        {{ plus_minutes('observed_hour_utc', var('weather_publication_delay_minutes')) }} as known_utc,
    from stg_weather
),

-- an observation that is too old says nothing about the weather now
weather as (
    select
        flights.flight_id,
        weather_known.*,
    from flights
    asof inner join weather_known
        on flights.origin = weather_known.airport_code and flights.predicted_utc >= weather_known.known_utc
    where weather_known.known_utc >= flights.predicted_utc - to_hours({{ var('weather_max_age_hours') }})
),

{% for history in delay_histories() %}
{{ history.name }}_asked as (
    select
        flight_id,
        {{ history.entity }} as entity,
        predicted_utc,
        predicted_utc - to_hours({{ history.hours }}) as window_start_utc,
    from flights
),

{{ history.name }}_history as (
    select *
    from delay_history
    where history = '{{ history.name }}'
),

{{ history.name }} as (
    select
        asked.flight_id,
        by_now.total_flights - coalesce(by_start.total_flights, 0) as known_flights,
        by_now.total_delay_minutes - coalesce(by_start.total_delay_minutes, 0) as known_delay_minutes,
        by_now.total_late - coalesce(by_start.total_late, 0) as known_late,
    from {{ history.name }}_asked as asked
    asof inner join {{ history.name }}_history as by_now
        on asked.entity = by_now.entity and asked.predicted_utc >= by_now.known_utc
    asof left join {{ history.name }}_history as by_start
        on asked.entity = by_start.entity and asked.window_start_utc >= by_start.known_utc
),

{% endfor %}
final as (
    select
        flights.flight_id,
        flights.scheduled_departure_utc,
        flights.predicted_utc,
        weather.known_utc as weather_known_utc,

        flights.carrier,
        flights.origin,
        flights.destination,
        flights.scheduled_departure_minute_local::double as scheduled_departure_minute_local,
        isodow(flights.scheduled_departure_date_local)::double as day_of_week,
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

        backlog.overdue_flights::double as overdue_flights,
        {% for history in delay_histories() %}
        ({{ history.name }}.known_delay_minutes / nullif({{ history.name }}.known_flights, 0))::double
            as {{ history.name }}_mean_delay_minutes,
        ({{ history.name }}.known_late / nullif({{ history.name }}.known_flights, 0))::double
            as {{ history.name }}_late_share,
        {% endfor %}

        flights.arrival_delay_minutes,
        flights.arrival_delay_minutes >= {{ var('late_after_minutes') }} as is_late,
        flights.arrived_utc as label_known_utc,
        flights.is_cancelled,
        flights.is_diverted,
    from flights
    left join planes on flights.tail_number = planes.tail_number
    left join weather on flights.flight_id = weather.flight_id
    asof left join backlog on flights.origin = backlog.origin and flights.predicted_utc >= backlog.moment_utc
    {% for history in delay_histories() %}
    left join {{ history.name }} on flights.flight_id = {{ history.name }}.flight_id
    {% endfor %}
)

select * from final
