"""JSON Schema: exact numbers, bounded work, faults in words."""
