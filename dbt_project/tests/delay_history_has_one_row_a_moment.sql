-- the grain of the running totals
select
    history,
    entity,
    known_utc,
    count(*) as row_count
from {{ ref('delay_history') }}
group by all
having count(*) > 1
