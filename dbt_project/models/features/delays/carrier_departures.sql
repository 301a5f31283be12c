-- grain: one scheduled flight, if any is known; departures of its carrier from its origin known at its prediction
{{ rolling_delays(entity='carrier || origin', event='departed', hours=var('short_window_hours')) }}
