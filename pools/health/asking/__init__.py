"""How one probe is made: a connection of its own, what is said on it, and what to think of it.

`pools.health.probes` is the face of it.
"""
