"""The channels that can be subscribed: their names and rules, and the way from a notification to subscribers."""
