{#- The UTC instant of a local clock time. A clock time that daylight saving repeats is taken as the later one,
    one that it skips as the instant an hour further, as ICU does. -#}
{% macro local_to_utc(local_timestamp, time_zone) -%}
    {{ adapter.dispatch('local_to_utc')(local_timestamp, time_zone) }}
{%- endmacro %}

{#- Minutes after midnight of an hhmm clock reading; 2400 is the end of the day. -#}
{% macro clock_minutes(hhmm) -%}
    {{ adapter.dispatch('clock_minutes')(hhmm) }}
{%- endmacro %}

{#- A timestamp moved by a number of minutes. -#}
{% macro plus_minutes(moment, minutes) -%}
    {{ adapter.dispatch('plus_minutes')(moment, minutes) }}
{%- endmacro %}

{#- A timestamp moved by a number of hours. -#}
{% macro plus_hours(moment, hours) -%}
    {{ plus_minutes(moment, '60 * (' ~ hours ~ ')') }}
{%- endmacro %}

{#- How many times the clock's minute changes from one moment to another. -#}
{% macro minutes_between(earlier, later) -%}
    {{ adapter.dispatch('minutes_between')(earlier, later) }}
{%- endmacro %}

{#- The day of the week: 1 is Monday, 7 Sunday. -#}
{% macro iso_day_of_week(date) -%}
    {{ adapter.dispatch('iso_day_of_week')(date) }}
{%- endmacro %}
