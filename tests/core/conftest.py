from hypothesis import settings

# Examples are bounded by number: a slow machine fails no test.
settings.register_profile("core", deadline=None)
settings.load_profile("core")
