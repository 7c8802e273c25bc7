"""The dashboard: the whole proxy on one page, refreshed while one looks at it."""
