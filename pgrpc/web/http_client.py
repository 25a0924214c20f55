"""One document from another server, bounded in size and time.

Owns how it is asked for. Must not know what it holds. Redirects are not followed: an address that is trusted could
lead to one that is not.
"""

from tornado import httpclient, simple_httpclient

_SECONDS = 4.0
"""For all of it: looking up the name, connecting, TLS, the last byte."""

_BYTES = 256 * 1024


async def fetch(url: str) -> bytes:
    """Raises OSError, whose str() says why not, without the address: it may hold a secret."""
    client = simple_httpclient.SimpleAsyncHTTPClient(force_instance=True, max_body_size=_BYTES, max_buffer_size=_BYTES)
    request = httpclient.HTTPRequest(
        url,
        connect_timeout=_SECONDS,
        request_timeout=_SECONDS,
        follow_redirects=False,
        decompress_response=False,
        user_agent="pgrpc",
    )
    try:
        response = await client.fetch(request, raise_error=False)
    except httpclient.HTTPError as error:
        raise OSError(f"no answer within {_SECONDS:g} s and {_BYTES} bytes: {error.message}") from None
    except (OSError, ValueError) as error:
        raise OSError(f"cannot be reached: {getattr(error, 'strerror', None) or error}") from None
    finally:
        client.close()
    if response.code != 200:
        more = "; redirects are not followed" if 300 <= response.code < 400 else ""
        raise OSError(f"the answer was {response.code}{more}")
    return response.body
