"""Who a client is, by JSON Web Tokens. The only room that imports PyJWT and cryptography.

It stands beside `web` and `postgres` and knows neither: tokens come as text, key sets by a callable.

    authenticator   a token -> an identity, quickly the second time
    ├── tokens          one token: its signature and claims, each refusal in words
    ├── keyset          an issuer's key set: fetched, renewed, kept while it cannot be had
    └── keys            which key may verify which algorithm
    issuing         tokens for development
"""
