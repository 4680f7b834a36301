"""The HTTP edge: routes, microversions, bodies, paging, filters, errors in each API's dialect, OpenAPI.

One request: `app.py` finds the route and the caller, `executor.py` runs the handler in one transaction on a
thread, the dialect renders what went wrong. Services only declare `Route`s (`routes.py`).
"""
