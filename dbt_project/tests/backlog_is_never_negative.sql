-- one row a moment, and never fewer than no flights waiting
select
    origin,
    moment_utc,
    min(overdue_flights) as fewest,
    count(*) as row_count
from {{ ref('departure_backlog') }}
group by all
having count(*) > 1 or min(overdue_flights) < 0
