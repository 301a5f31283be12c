-- grain: one airport
with

source as (
    select * from {{ source('flights', 'airports') }}
),

final as (
    select
        faa as airport_code,
        name as airport_name,
        lat as latitude_degrees,
        lon as longitude_degrees,
        tzone as time_zone
    from source
)

select * from final
