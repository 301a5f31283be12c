-- grain: one scheduled flight, where one is known; the last recent observation of its origin at the prediction
with

prediction_times as (
    select * from {{ ref('prediction_times') }}
),

observations as (
    select
        *,
        {{ plus_minutes('observed_hour_utc', var('weather_publication_delay_minutes')) }} as known_utc
    from {{ ref('stg_weather') }}
),

last_known as (
    {{ asof_join(
        'prediction_times',
        'observations',
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

final as (
    select
        flight_id,
        known_utc,
        temperature_fahrenheit,
        dew_point_fahrenheit,
        humidity_percent,
        wind_direction_degrees,
        wind_speed_mph,
        wind_gust_mph,
        precipitation_inches,
        pressure_millibars,
        visibility_miles
    from last_known
    -- an observation that is too old says nothing about the weather now
    where known_utc >= {{ plus_hours('predicted_utc', '-' ~ var('weather_max_age_hours')) }}
)

select * from final
