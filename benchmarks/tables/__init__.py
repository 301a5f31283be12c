"""Real tables that nobody here chose, run as strangers would: ``make bench-tables``.

The modules that read and judge the tables (`sources`, `selection`, `corpus`, `odd`, `learnability`, `rivals`) run in
``.venv-tables``; those that run the product (`runner`, `records`, `results`, `page`) in the product's environment.
"""
