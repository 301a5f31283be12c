-- the grain of the weather: the hour that daylight saving repeats is two hours in UTC
select
    airport_code,
    observed_hour_utc,
    count(*) as row_count
from {{ ref('stg_weather') }}
group by all
having count(*) > 1
