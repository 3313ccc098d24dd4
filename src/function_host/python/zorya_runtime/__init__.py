"""The Python runtime of a function: Runtime API loop, logging, SnapStart.

Speaks the public Runtime API (version 2018-06-01) and behaves as the service's own Python runtime where a
function can see it. Runs on Python 3.9 to 3.13. Modules that are not needed by every start are imported where
they are used: what is imported here is paid by each cold start.
"""
