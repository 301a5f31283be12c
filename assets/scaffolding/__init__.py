"""Scaffolding: a file is profiled and a declaration is drafted from it, for `loopline new`."""
