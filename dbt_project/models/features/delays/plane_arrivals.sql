-- grain: one scheduled flight, if any is known; arrivals of its aeroplane known at its prediction
{{ rolling_delays(entity='tail_number', event='arrived', hours=var('day_window_hours')) }}
