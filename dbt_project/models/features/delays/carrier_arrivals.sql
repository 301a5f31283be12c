-- grain: one scheduled flight, if any is known; arrivals of its carrier known at its prediction
{{ rolling_delays(entity='carrier', event='arrived', hours=var('day_window_hours')) }}
