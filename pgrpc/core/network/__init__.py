"""Where a request comes from: proxies in between, origins, host names."""
