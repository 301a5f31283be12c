{#- The rolling histories that `flight_delay` carries: whose flights, which event, over which window.
    The event's own moment is when its delay became known: a departure delay once it left, an arrival delay once it landed. -#}
{% macro delay_histories() -%}
    {{ return([
        {"name": "origin_departures", "entity": "origin", "event": "departed", "hours": var("short_window_hours")},
        {"name": "carrier_departures", "entity": "carrier || origin", "event": "departed", "hours": var("short_window_hours")},
        {"name": "destination_arrivals", "entity": "destination", "event": "arrived", "hours": var("short_window_hours")},
        {"name": "carrier_arrivals", "entity": "carrier", "event": "arrived", "hours": var("day_window_hours")},
        {"name": "plane_arrivals", "entity": "tail_number", "event": "arrived", "hours": var("day_window_hours")},
        {"name": "route_arrivals", "entity": "carrier || origin || destination", "event": "arrived", "hours": 24 * var("long_window_days")},
        {"name": "flight_arrivals", "entity": "carrier || flight_number || origin", "event": "arrived", "hours": 24 * var("long_window_days")},
    ]) }}
{%- endmacro %}
