"""What is done: a folder for each stage, which holds the bodies of its assets, their records and their pages.

How data flow from asset to asset:

::

    ingestion   raw/flights/{flights,weather,planes,airports,airlines}, raw/diamond_cut/data
                  -> landing/flights/{flights,weather,planes,airports,airlines}, landing/diamond_cut/data
                  -> quality/{flights,diamond_cut}
    warehouse     -> staging/stg_{flights,weather,planes,airports,airlines}, seeds/airport_time_zones
                  -> marts/{dim_airports,fct_flights}
    features      -> features/{departure_backlog,prediction_times}
                  -> features/{backlog_at_prediction,weather_at_prediction},
                     features/{origin_departures,carrier_departures,destination_arrivals,carrier_arrivals},
                     features/{plane_arrivals,route_arrivals,flight_arrivals}
                  -> features/delays_at_prediction -> features/flight_delay
                  -> PRODUCT/snapshot
                  -> PRODUCT/{online_features,lake}
    training      -> PRODUCT/{tuning,online_state}
                  -> PRODUCT/model
    evaluation    -> PRODUCT/{evaluation,simple_models,leakage,robustness,explanations,footprint}
                  -> PRODUCT/{uncertainty,transfer,prequential,federation}
    promotion     -> PRODUCT/challenger
                PRODUCT/decisions
                    -> PRODUCT/verdict
                    -> PRODUCT/{champion,report}
    serving         -> PRODUCT/fallback
                      -> PRODUCT/{bento,wheel,sql,predictions,monthly_predictions}
                        -> PRODUCT/parity
                        -> PRODUCT/image
    monitoring  PRODUCT/requests
                    -> PRODUCT/{monitoring,feature_skew,adapted_uncertainty}
    experiments         -> PRODUCT/{experiment,shadow,off_policy}

PRODUCT stands for each declared product, `flight_delay` say; only one that declares a search has a tuning, one that learns by
transfer, the gain of it, one that learns online, prequential figures and (with months) states by month, one that is federated,
what its clients gain, one that declares `uncertainty`, its coverage, and where it is adaptive the thresholds that follow the
labels, by which its serving answers, one that declares months, monthly predictions, one that declares `serving.fallback`, what
services answer without the model, one that declares `serving.online`, the online features and their skew, one that declares
`publish`, a lake, and one that declares experiments, what stands there. A product with a file of its own goes from ingestion to
snapshot without the warehouse.

The body of an asset stands in ``<asset>_asset.py``. Below the stages lie what they share: `rendering`, `processes`,
`object_store` (publishes a home to a bucket), `storage`, the declaration (`spec`), statistics (`methods`) and `registries` (how
extensions add to a list); beside them `scaffolding` (drafts a product for someone new), `observability` (metrics, alert rules,
dashboards), `replay`, `streaming` (rows that keep arriving, checked and scored in Spark), and `research` (variants of a
declaration, tried in notebooks). A stage imports only those below
it (`pyproject.toml`); `orchestration` says when each runs.
`tests/orchestration/test_graph.py` holds this map against the asset graph.
"""
