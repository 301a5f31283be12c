-- grain: one scheduled flight; arrivals of its carrier that were known when it was predicted
{{ rolling_delays(entity='carrier', event='arrived', hours=var('day_window_hours')) }}
