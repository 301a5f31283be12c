-- grain: one scheduled flight; arrivals of its aeroplane that were known when it was predicted
{{ rolling_delays(entity='tail_number', event='arrived', hours=var('day_window_hours')) }}
