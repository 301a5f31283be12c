-- a prediction is made before the departure, from weather known by then, and its label comes after it
select *
from {{ ref('flight_delay') }}
where
    predicted_utc > {{ plus_minutes('scheduled_departure_utc', '-' ~ var('prediction_horizon_minutes')) }}
    or weather_known_utc > predicted_utc
    or label_known_utc <= predicted_utc
