"""Where a request comes from: proxies, origins, host names."""
