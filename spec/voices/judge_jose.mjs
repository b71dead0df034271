// Judges tokens as an application with `jose` would.
//
// One JSON object of `scopegate-spec-voices write` a line in the file that is named, one verdict a line of the output: `null`, or
// the error.
import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { createLocalJWKSet, errors, jwtVerify } from 'jose';

const keySets = new Map();

function keySet(jwks) {
  if (!keySets.has(jwks)) {
    keySets.set(jwks, createLocalJWKSet(JSON.parse(jwks)));
  }
  return keySets.get(jwks);
}

// Several keys may fit a token without `kid`: each is tried, as the documentation of `createLocalJWKSet` shows.
async function verify(token, jwks, options) {
  try {
    return await jwtVerify(token, jwks, options);
  } catch (error) {
    if (!(error instanceof errors.JWKSMultipleMatchingKeys)) {
      throw error;
    }
    for await (const key of error) {
      try {
        return await jwtVerify(token, key, options);
      } catch (attempt) {
        if (!(attempt instanceof errors.JWSSignatureVerificationFailed)) {
          throw attempt;
        }
      }
    }
    throw new errors.JWSSignatureVerificationFailed();
  }
}

function optionsOf(sample) {
  const options = {
    issuer: sample.issuer,
    algorithms: sample.algorithms,
    clockTolerance: sample.leeway,
    currentDate: new Date(sample.now * 1000),
    requiredClaims: sample.required_claims,
  };
  if (sample.audiences) {
    options.audience = sample.audiences;
  }
  // The option has one value. Where several are accepted, the application compares.
  if (sample.types.length === 1 && sample.types[0] !== null) {
    options.typ = sample.types[0];
  }
  if (sample.max_token_age !== null) {
    options.maxTokenAge = sample.max_token_age;
  }
  return options;
}

async function problem(sample, jwks) {
  try {
    await verify(sample.token, keySet(jwks), optionsOf(sample));
    return null;
  } catch (error) {
    return { error: typeof error.code === 'string' ? error.code : error.name, message: error.message };
  }
}

async function judge(sample) {
  const refused = await problem(sample, sample.jwks);
  if (refused) {
    refused.accepted_without = null;
    for (const [name, jwks] of sample.retries) {
      if ((await problem(sample, jwks)) === null) {
        refused.accepted_without = name;
        break;
      }
    }
  }
  return refused;
}

for await (const line of createInterface({ input: createReadStream(process.argv[2]) })) {
  console.log(JSON.stringify(await judge(JSON.parse(line))));
}
