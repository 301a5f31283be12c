-- a share of late flights is one, and a mean is not told without it
select *
from {{ ref('delays_at_prediction') }}
where
{% for history in delay_histories() %}
    {{ history }}_late_share not between 0 and 1
    or ({{ history }}_late_share is null) <> ({{ history }}_mean_delay_minutes is null)
    {{ "or" if not loop.last }}
{% endfor %}
