-- grain: one scheduled flight; departures from its origin that were known when it was predicted
{{ rolling_delays(entity='origin', event='departed', hours=var('short_window_hours')) }}
