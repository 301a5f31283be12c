{#- The rolling histories of delays that `flight_delay` carries, each a relation of its own. -#}
{% macro delay_histories() -%}
    {{ return([
        "origin_departures",
        "carrier_departures",
        "destination_arrivals",
        "carrier_arrivals",
        "plane_arrivals",
        "route_arrivals",
        "flight_arrivals",
    ]) }}
{%- endmacro %}
