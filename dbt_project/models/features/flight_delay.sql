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
        {{ plus_minutes('scheduled_departure_utc', '-' ~ var('prediction_horizon_minutes')) }} as predicted_utc
    from fct_flights
),

weather_known as (
    select
        *,
        {{ plus_minutes('observed_hour_utc', var('weather_publication_delay_minutes')) }} as known_utc
    from stg_weather
),

-- an observation that is too old says nothing about the weather now
last_weather as (
    {{ asof_join(
        'flights',
        'weather_known',
        on={'origin': 'airport_code'},
        at=('predicted_utc', 'known_utc'),
        keep=['flight_id', 'predicted_utc'],
        take={
            'known_utc': 'known_utc',
            'temperature_fahrenheit': 'temperature_fahrenheit',
            'dew_point_fahrenheit': 'dew_point_fahrenheit',
            'humidity_percent': 'humidity_percent',
            'wind_direction_degrees': 'wind_direction_degrees',
            'wind_speed_mph': 'wind_speed_mph',
            'wind_gust_mph': 'wind_gust_mph',
            'precipitation_inches': 'precipitation_inches',
            'pressure_millibars': 'pressure_millibars',
            'visibility_miles': 'visibility_miles',
        }
    ) }}
),

weather as (
    select *
    from last_weather
    where known_utc >= {{ plus_hours('predicted_utc', '-' ~ var('weather_max_age_hours')) }}
),

waiting as (
    {{ asof_join(
        'flights',
        'backlog',
        on={'origin': 'origin'},
        at=('predicted_utc', 'moment_utc'),
        keep=['flight_id'],
        take={'overdue_flights': 'overdue_flights'}
    ) }}
),

{% for history in delay_histories() %}
{{ history.name }}_asked as (
    select
        flight_id,
        {{ history.entity }} as entity,
        predicted_utc,
        {{ plus_hours('predicted_utc', '-' ~ history.hours) }} as window_start_utc
    from flights
),

{{ history.name }}_history as (
    select *
    from delay_history
    where history = '{{ history.name }}'
),

{{ history.name }}_by_now as (
    {{ asof_join(
        history.name ~ '_asked',
        history.name ~ '_history',
        on={'entity': 'entity'},
        at=('predicted_utc', 'known_utc'),
        keep=['flight_id', 'entity', 'window_start_utc'],
        take={'total_flights': 'flights', 'total_delay_minutes': 'delay_minutes', 'total_late': 'late'}
    ) }}
),

{{ history.name }}_by_start as (
    {{ asof_join(
        history.name ~ '_by_now',
        history.name ~ '_history',
        on={'entity': 'entity'},
        at=('window_start_utc', 'known_utc'),
        keep=['flight_id', 'flights', 'delay_minutes', 'late'],
        take={'total_flights': 'flights_before', 'total_delay_minutes': 'delay_minutes_before', 'total_late': 'late_before'},
        how='left'
    ) }}
),

{{ history.name }} as (
    select
        flight_id,
        flights - coalesce(flights_before, 0) as known_flights,
        delay_minutes - coalesce(delay_minutes_before, 0) as known_delay_minutes,
        late - coalesce(late_before, 0) as known_late
    from {{ history.name }}_by_start
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
        ({{ history.name }}.known_delay_minutes / nullif({{ history.name }}.known_flights, 0))::double
            as {{ history.name }}_mean_delay_minutes,
        ({{ history.name }}.known_late / nullif({{ history.name }}.known_flights, 0))::double
            as {{ history.name }}_late_share,
        {% endfor %}

        flights.arrival_delay_minutes,
        flights.arrival_delay_minutes >= {{ var('late_after_minutes') }} as is_late,
        flights.arrived_utc as label_known_utc,
        flights.is_cancelled,
        flights.is_diverted
    from flights
    left join planes on flights.tail_number = planes.tail_number
    left join weather on flights.flight_id = weather.flight_id
    left join waiting on flights.flight_id = waiting.flight_id
    {% for history in delay_histories() %}
    left join {{ history.name }} on flights.flight_id = {{ history.name }}.flight_id
    {% endfor %}
)

select * from final
