"""What happens to traffic when something breaks: real processes, real clients, counts.

Rules:
- Each request has an id of its own, and each backend writes down which ids it got, so that
  what was lost or came twice is known by name.
- A test waits for conditions; PATIENCE_S is how long before it fails.
"""

PATIENCE_S = 30.0
