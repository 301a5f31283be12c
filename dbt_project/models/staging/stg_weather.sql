-- grain: one airport and hour
with

source as (
    select * from {{ source('flights', 'weather') }}
),

final as (
    select
        origin as airport_code,
        time_hour as observed_hour_utc,
        temp as temperature_fahrenheit,
        dewp as dew_point_fahrenheit,
        humid as humidity_percent,
        wind_dir as wind_direction_degrees,
        wind_speed as wind_speed_mph,
        wind_gust as wind_gust_mph,
        precip as precipitation_inches,
        pressure as pressure_millibars,
        visib as visibility_miles
    from source
)

select * from final
