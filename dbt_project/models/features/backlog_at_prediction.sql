-- grain: one scheduled flight, where it is known; how many flights waited at its origin when it was predicted
with

prediction_times as (
    select * from {{ ref('prediction_times') }}
),

departure_backlog as (
    select * from {{ ref('departure_backlog') }}
),

final as (
    {{ asof_join(
        'prediction_times',
        'departure_backlog',
        on={'origin': 'origin'},
        at=('predicted_utc', 'moment_utc'),
        keep=['flight_id'],
        take={'overdue_flights': 'overdue_flights'}
    ) }}
)

select * from final
