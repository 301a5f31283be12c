"""What is done, one module a stage.

How data flow from asset to asset:

::

    landing     raw/flights/{flights,weather,planes,airports,airlines}
                  -> landing/flights/{flights,weather,planes,airports,airlines}
    warehouse     -> staging/stg_{flights,weather,planes,airports,airlines}, seeds/airport_time_zones
                  -> marts/{dim_airports,fct_flights}
    features      -> features/{delay_history,departure_backlog} -> features/flight_delay
                  -> flight_delay/snapshot
    training      -> flight_delay/model
    evaluation    -> flight_delay/evaluation
    registry      -> flight_delay/challenger -> flight_delay/champion
    packaging     -> flight_delay/bento
    scoring       -> flight_delay/predictions

Stages import `assets.spec`, `assets.methods`, and what lies beside them (storage, snapshots, errors), never each other;
`orchestration` says when each runs. `tests/orchestration/test_graph.py` holds this map against the asset graph.
"""
