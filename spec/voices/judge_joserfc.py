"""Judges tokens as an application with `joserfc` would.

One JSON object of `scopegate-spec-voices write` a line in the file that is named, one verdict a line of the output: `null`, or
the error.
"""

import functools
import json
import sys
import warnings

from joserfc import jwk, jws, jwt
from joserfc.errors import BadSignatureError, InvalidKeyIdError, JoseError, SecurityWarning
from joserfc.registry import HeaderParameter

# `EdDSA` is on the list where `Ed25519` is.
warnings.simplefilter("ignore", SecurityWarning)

# For an application that does not use these.
UNUSED = {name: HeaderParameter("not used", lambda value: None) for name in ("cty", "jku", "jwk", "x5c", "x5u")}


@functools.cache
def keys_of(jwks):
    """The keys of a set. One that cannot be read is ignored (RFC 7517 section 5)."""
    keys = []
    for data in json.loads(jwks)["keys"]:
        try:
            keys.append(jwk.import_key(data))
        except (JoseError, LookupError, TypeError, ValueError):
            pass
    return keys


def verified(sample, jwks, header_registry):
    """The claims of a token that one of the keys verifies. Those with its `kid` are tried, or all if it has none."""
    # A header parameter that the library does not know is ignored (RFC 7515 section 4).
    registry = jws.JWSRegistry(header_registry, algorithms=sample["algorithms"], strict_check_header=False)
    kid = jws.extract_compact(sample["token"].encode()).headers().get("kid")
    problem = InvalidKeyIdError(f"No key for kid: '{kid}'")
    for key in keys_of(jwks):
        if kid is None or key.get("kid") == kid:
            try:
                return jwt.decode(sample["token"], key, registry=registry).claims
            except JoseError as error:
                # Of several problems the one of the key that fits.
                if isinstance(problem, InvalidKeyIdError) or isinstance(error, BadSignatureError):
                    problem = error
    raise problem


def validate(sample, jwks, header_registry):
    options = {name: {"essential": True} for name in sample["required_claims"]}
    options["iss"]["value"] = sample["issuer"]
    if sample["audiences"] is not None:
        options["aud"] = {"essential": True, "values": sample["audiences"]}
    if sample["client"] is not None:
        name, values = sample["client"]
        options.setdefault(name, {})["values"] = values
    registry = jwt.JWTClaimsRegistry(now=sample["now"], leeway=sample["leeway"], **options)
    registry.validate(verified(sample, jwks, header_registry))


def problem_of(sample, jwks, header_registry=None):
    try:
        validate(sample, jwks, header_registry)
    except Exception as problem:
        return problem
    return None


def accepted_without(sample):
    """The name of the known difference without which the token is accepted."""
    for name, jwks in [(None, sample["jwks"]), *sample["retries"]]:
        if name is not None and problem_of(sample, jwks) is None:
            return name
        if problem_of(sample, jwks, UNUSED) is None:
            return "unused header parameter"
    return None


def judge(sample):
    problem = problem_of(sample, sample["jwks"])
    if problem is None:
        return None
    return {
        "error": type(problem).__name__,
        "message": str(problem),
        "accepted_without": accepted_without(sample),
    }


with open(sys.argv[1], encoding="utf-8") as samples:
    for line in samples:
        print(json.dumps(judge(json.loads(line))))
