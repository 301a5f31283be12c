-- without one the arrival cannot be put into UTC; add a missing airport to seeds/airport_time_zones.csv
select distinct destination
from {{ ref('fct_flights') }}
where scheduled_arrival_utc is null
