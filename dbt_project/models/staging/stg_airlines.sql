-- grain: one airline
with

source as (
    select * from {{ source('flights', 'airlines') }}
),

final as (
    select
        carrier,
        name as airline_name
    from source
)

select * from final
