-- scheduled and actual arrivals follow their departures, and no flight takes more than a day
select *
from {{ ref('fct_flights') }}
where
    scheduled_arrival_utc <= scheduled_departure_utc
    or scheduled_arrival_utc > scheduled_departure_utc + interval 20 hours
    or arrived_utc <= departed_utc
