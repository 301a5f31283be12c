-- grain: one scheduled flight; the moment at which its delay is predicted, and what its histories are told by
{{ config(materialized='view') }}
select
    flight_id,
    {{ plus_minutes('scheduled_departure_utc', '-' ~ var('prediction_horizon_minutes')) }} as predicted_utc,
    carrier,
    flight_number,
    origin,
    destination,
    tail_number
from {{ ref('fct_flights') }}
