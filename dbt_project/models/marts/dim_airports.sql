-- grain: one airport; those of Puerto Rico and the Virgin Islands come from the seed
with

airports as (
    select * from {{ ref('stg_airports') }}
),

time_zones as (
    select * from {{ ref('airport_time_zones') }}
),

final as (
    select
        coalesce(airports.airport_code, time_zones.airport_code) as airport_code,
        airports.airport_name,
        coalesce(time_zones.time_zone, airports.time_zone) as time_zone
    from airports
    full join time_zones on airports.airport_code = time_zones.airport_code
)

select * from final
