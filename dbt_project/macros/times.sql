{#- The UTC instant of a local clock time. A clock time that daylight saving repeats is taken as the later one,
    one that it skips as the instant an hour further, as ICU does. -#}
{% macro local_to_utc(local_timestamp, time_zone) -%}
    (({{ local_timestamp }}) at time zone {{ time_zone }}) at time zone 'UTC'
{%- endmacro %}

{#- Minutes after midnight of an hhmm clock reading; 2400 is the end of the day. -#}
{% macro clock_minutes(hhmm) -%}
    (({{ hhmm }}) // 100 * 60 + ({{ hhmm }}) % 100)
{%- endmacro %}

{#- A timestamp moved by a number of minutes. -#}
{% macro plus_minutes(moment, minutes) -%}
    ({{ moment }}) + to_seconds(60.0 * ({{ minutes }}))
{%- endmacro %}

{#- Whole minutes from one moment to another. -#}
{% macro minutes_between(earlier, later) -%}
    date_diff('minute', {{ earlier }}, {{ later }})
{%- endmacro %}
