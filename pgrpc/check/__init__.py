"""Whether the file and its database match: what is served, or everything that is wrong between them."""
