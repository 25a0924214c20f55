"""The only room that talks to clients: it alone imports tornado."""
