-- and every other flight has one
select *
from {{ ref('flight_delay') }}
where (is_late is null) <> (is_cancelled or is_diverted)
