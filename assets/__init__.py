"""What is done, one module a stage.

How data flow from asset to asset:

::

    landing     raw/flights/{flights,weather,planes,airports,airlines}, raw/diamond_cut/data
                  -> landing/flights/{flights,weather,planes,airports,airlines}, landing/diamond_cut/data
    quality       -> quality/{flights,diamond_cut}
    warehouse     -> staging/stg_{flights,weather,planes,airports,airlines}, seeds/airport_time_zones
                  -> marts/{dim_airports,fct_flights}
    features      -> features/{delay_history,departure_backlog} -> features/flight_delay
                  -> PRODUCT/snapshot
    tuning        -> PRODUCT/tuning
    training    -> PRODUCT/model
    evaluation    -> PRODUCT/evaluation
    leakage       -> PRODUCT/leakage
    robustness    -> PRODUCT/robustness
    explanations  -> PRODUCT/explanations
    footprint     -> PRODUCT/footprint
    registry        -> PRODUCT/challenger
    gate        PRODUCT/decisions
                      -> PRODUCT/verdict
    ledger              -> PRODUCT/champion
    reporting             -> PRODUCT/report
    packaging             -> PRODUCT/bento
    scoring               -> PRODUCT/{predictions,monthly_predictions}
    monitoring            PRODUCT/requests
                            -> PRODUCT/monitoring
    embedding             -> PRODUCT/wheel
    translation           -> PRODUCT/sql
    parity                  -> PRODUCT/parity
    containers                -> PRODUCT/image

PRODUCT stands for each declared product, `flight_delay` say; only one that declares a search has a tuning, and one that
declares months, monthly predictions. A product with a file of its own goes from landing to snapshot without the warehouse.

Beside the stages lie what several of them share (storage, snapshots, estimators, evidence, raw files) and what drafts a
product for someone new (profiling, drafting). Stages never import each other; `orchestration` says when each runs.
`tests/orchestration/test_graph.py` holds this map against the asset graph.
"""
