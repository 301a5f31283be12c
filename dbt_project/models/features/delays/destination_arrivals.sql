-- grain: one scheduled flight, if any is known; arrivals at its destination known at its prediction
{{ rolling_delays(entity='destination', event='arrived', hours=var('short_window_hours')) }}
