-- without one the arrival cannot be put into UTC; add a missing airport to seeds/airport_time_zones.csv
select distinct flights.destination
from {{ ref('stg_flights') }} as flights
left join {{ ref('dim_airports') }} as airports on flights.destination = airports.airport_code
where airports.time_zone is null
