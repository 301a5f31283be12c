-- every landed flight reaches the marts and the features exactly once
with

counts as (
    select
        (select count(*) from {{ ref('stg_flights') }}) as staged,
        (select count(*) from {{ ref('fct_flights') }}) as in_marts,
        (select count(*) from {{ ref('flight_delay') }}) as in_features
)

select * from counts
where staged <> in_marts or staged <> in_features
