-- grain: one aeroplane
with

source as (
    select * from {{ source('flights', 'planes') }}
),

final as (
    select
        tailnum as tail_number,
        year as built_year,
        manufacturer,
        engines as engine_count,
        seats as seat_count
    from source
)

select * from final
