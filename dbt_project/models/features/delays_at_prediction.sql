-- grain: one scheduled flight; all of its histories side by side
-- one join after the other: DuckDB would hold the rows of all of them in memory at once
with

prediction_times as (
    select
        flight_id,
        predicted_utc
    from {{ ref('prediction_times') }}
){% for history in delay_histories() %},

with_{{ history }} as {{ materialized() }} (
    select
        before.*,
        known.mean_delay_minutes as {{ history }}_mean_delay_minutes,
        known.late_share as {{ history }}_late_share
    from {{ "prediction_times" if loop.first else "with_" ~ loop.previtem }} as before
    left join {{ ref(history) }} as known on before.flight_id = known.flight_id
){% endfor %}

select * from with_{{ delay_histories()[-1] }}
