"""The pure part: a message in, effects out. No await, clock, socket or file; every rule of the protocol lives here."""
