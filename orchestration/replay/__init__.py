"""Replay: a product's history played again under several retraining policies, on a simulated clock, in a home of its own.

`settings` says what is played, `history` what was known when, `shared` what policies have in common, `play` one step of one
policy, `conductor` who plays what when. What comes of it is told by `assets.replay_record` and shown by `assets.replay_page`.
"""
