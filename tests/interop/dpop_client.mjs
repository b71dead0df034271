// The DPoP client of the interop tests: oauth4webapi, as it is.
//
//     node dpop_client.mjs '{"issuer": URL, "resource": AUDIENCE, "secret": SECRET, "apis": {"plain": URL, "nonces": URL, ...}}'
//
// With a key of each algorithm it gets bound tokens from the authorization server, JWTs and opaque ones, and calls the APIs:
// as it should, and then in each way that has to be refused. `POST /clock/SECONDS` at the API `nonces` sets its clock forward.
// What happened is one line of JSON on stdout:
//
//     calls     the good calls: [[api, algorithm, token, what, [[status, whether there was a nonce], ...]], ...]
//     races     the statuses of one request that was sent 16 times at once
//     refusals  by API and name, each different one once: {"plain": {"replayed": [[401, [CHALLENGE, ...]]], ...}, ...}
//     made      how many requests the APIs got
//     refused   how many of them were to be refused, and were

import { request as httpRequest } from 'node:http';

import * as oauth from 'oauth4webapi';

import { browse } from './browser.mjs';

const ALGORITHMS = ['ES256', 'ES384', 'EdDSA', 'Ed25519', 'PS256', 'RS256'];
const REDIRECT = 'http://127.0.0.1:9/callback';
const INSECURE = { [oauth.allowInsecureRequests]: true };
const { issuer, resource, secret, apis } = JSON.parse(process.argv[2]);
const calls = [];
const races = [];
const refusals = Object.fromEntries(Object.keys(apis).map((api) => [api, {}]));
let [made, refused] = [0, 0];

const as = await oauth.processDiscoveryResponse(new URL(issuer), await oauth.discoveryRequest(new URL(issuer), INSECURE));

// Two names for one algorithm: the library knows that of RFC 9864.
const newKey = (algorithm) => oauth.generateKeyPair(algorithm === 'EdDSA' ? 'Ed25519' : algorithm);

// Signs proofs with a key. `change` gets the header and the claims of each.
function handle(algorithm, key, { skew = 0, change = () => {} } = {}) {
  return oauth.DPoP({ client_id: 'client', [oauth.clockSkew]: skew }, key, {
    [oauth.modifyAssertion](header, claims) {
      header.alg = algorithm;
      change(header, claims);
    },
  });
}

// Once more, where the server wants a nonce, which the library has remembered by then.
async function withNonce(attempt) {
  try {
    return await attempt();
  } catch (error) {
    if (!oauth.isDPoPNonceError(error)) throw error;
    return attempt();
  }
}

// Tokens.

const authentication = oauth.ClientSecretPost(secret);
const parameters = (scope) => new URLSearchParams({ resource, scope });

function clientToken(id, DPoP, scope = 'messages:read') {
  const client = { client_id: id };
  return withNonce(async () => {
    const options = { ...INSECURE, DPoP };
    const response = await oauth.clientCredentialsGrantRequest(as, client, authentication, parameters(scope), options);
    return oauth.processClientCredentialsResponse(as, client, response);
  });
}

// By an authorization code that is bound to the key, too (RFC 9449 §10).
async function userToken(id, DPoP) {
  const client = { client_id: id };
  const verifier = oauth.generateRandomCodeVerifier();
  const start = new URL(as.authorization_endpoint);
  start.search = new URLSearchParams({
    client_id: id,
    redirect_uri: REDIRECT,
    response_type: 'code',
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
    dpop_jkt: await DPoP.calculateThumbprint(),
    resource,
    scope: 'messages:read',
  });
  const callback = oauth.validateAuthResponse(as, client, await browse(start, REDIRECT));
  return withNonce(async () => {
    const response = await oauth.authorizationCodeGrantRequest(
      as, client, authentication, callback, REDIRECT, verifier, { ...INSECURE, DPoP },
    );
    return oauth.processAuthorizationCodeResponse(as, client, response);
  });
}

// Calls.

async function send(url, init) {
  made += 1;
  return fetch(url, init);
}

function ask(url, token, DPoP, { method = 'GET', fetch: customFetch = send } = {}) {
  const options = { ...INSECURE, DPoP, [oauth.customFetch]: customFetch };
  return oauth.protectedResourceRequest(token, method, new URL(url), new Headers(), null, options);
}

// What a client has to do, and nothing more. Throws where it was refused in the end.
async function call(place, url, token, DPoP, method) {
  const responses = [];
  const watched = async (...request) => {
    const response = await send(...request);
    responses.push([response.status, response.headers.has('dpop-nonce')]);
    return response;
  };
  await withNonce(() => ask(url, token, DPoP, { method, fetch: watched }));
  calls.push([...place, responses]);
}

// Sends what the library would have sent, after a change.
function changing(change) {
  return (url, init) => {
    const request = { url, ...init, headers: new Headers(init.headers) };
    change(request);
    return send(request.url, request);
  };
}

// Sends the header field lines as they are, which fetch would join.
function sendLines(url, headers) {
  made += 1;
  return new Promise((resolve, reject) => {
    const request = httpRequest(url, { headers }, (response) => {
      const challenges = response.headersDistinct['www-authenticate'].map((value) => ['www-authenticate', value]);
      resolve(new Response(null, { status: response.statusCode, headers: challenges }));
      response.resume();
    });
    request.on('error', reject).end();
  });
}

// What has to be refused, by name: attempts of which the library is to report a challenge. Each may be repeated with the nonce
// that its handle has remembered.
function waysToBeRefused({ origin, token, second, unbound, algorithm, key, other }) {
  const url = `${origin}/messages`;
  const good = () => handle(algorithm, key);
  const asking = (DPoP, ...request) => () => ask(...request, DPoP);
  const changed = (change) => {
    const DPoP = good();
    return () => ask(url, token, DPoP, { fetch: changing(change) });
  };
  const ways = {
    as_bearer: () => ask(url, token),
    as_bearer_with_proof: changed(({ headers }) => headers.set('authorization', `Bearer ${token}`)),
    both_schemes: () => ask(url, token, undefined, {
      fetch: () => sendLines(url, { authorization: [`Bearer ${token}`, `DPoP ${token}`] }),
    }),
    both_schemes_in_one_line: changed(({ headers }) => headers.set('authorization', `Bearer ${token}, DPoP ${token}`)),
    forged: changed(({ headers }) => {
      const [header, claims, signature] = headers.get('dpop').split('.');
      headers.set('dpop', [header, claims, (signature[0] === 'A' ? 'B' : 'A') + signature.slice(1)].join('.'));
    }),
    no_token: changed(({ headers }) => ['dpop', 'authorization'].forEach((name) => headers.delete(name))),
    other_key: asking(handle(algorithm, other), url, token),
    other_method: changed((request) => { request.method = 'POST'; }),
    other_path: changed((request) => { request.url = `${origin}/me`; }),
    other_token: changed(({ headers }) => headers.set('authorization', `DPoP ${second}`)),
    private_key_disclosed: asking(handle(algorithm, key, {
      change(header) { header.jwk = { ...header.jwk, d: 'c2VjcmV0' }; },
    }), url, token),
    scope: asking(good(), `${origin}/admin`, token),
    two_proofs: changed(({ headers }) => headers.set('dpop', `${headers.get('dpop')}, ${headers.get('dpop')}`)),
    unbound: asking(good(), url, unbound),
    without_proof: changed(({ headers }) => headers.delete('dpop')),
  };
  const replaying = good();
  ways.replayed = async () => {
    let sent;
    await ask(url, token, replaying, { fetch: changing((request) => { sent = request; }) });
    return ask(url, token, replaying, { fetch: () => send(sent.url, sent) });
  };
  // Proofs for the same path at another port, which come here.
  const elsewhere = good();
  ways.other_port = () => ask('http://127.0.0.1:9/messages', token, elsewhere, {
    fetch: changing((request) => { request.url = url; }),
  });
  return ways;
}

async function expectRefusal(api, name, attempt) {
  try {
    await attempt();
  } catch (error) {
    if (!(error instanceof oauth.WWWAuthenticateChallengeError)) throw new Error(`${api}: ${name}`, { cause: error });
    refused += 1;
    const found = refusals[api][name] ??= [];
    const outcome = [error.status, error.cause];
    if (!found.some((earlier) => JSON.stringify(earlier) === JSON.stringify(outcome))) found.push(outcome);
    return;
  }
  throw new Error(`${api}: ${name} was accepted`);
}

// One proof in many requests at once, of which one passes.
async function race(url, token, DPoP) {
  let sent;
  const keep = async (...request) => {
    sent = request;
    return new Response();
  };
  await ask(url, token, DPoP, { fetch: keep });
  const responses = await Promise.all(Array.from({ length: 16 }, () => send(...sent)));
  const statuses = responses.map(({ status }) => status);
  refused += statuses.filter((status) => status === 401).length;
  races.push(statuses.sort());
}

const forward = (seconds) => fetch(`${apis.nonces}/clock/${seconds}`, { method: 'POST' });

// With the nonces of the API: a client is refused once, and never again, so long as it takes what it is given.
async function nonces(algorithm, key, token) {
  const url = `${apis.nonces}/messages`;
  const DPoP = handle(algorithm, key);
  const step = (what) => call(['nonces', algorithm, 'jwt', what], url, token, DPoP);
  await expectRefusal('nonces', 'without_nonce', () => ask(url, token, DPoP));
  await step('the nonce of a refusal');
  await step('the same nonce');
  await forward(32);
  await step('renewed');
  await forward(32);
  await step('the renewed nonce');
  await forward(61);
  await step('expired');
  const foreign = handle(algorithm, key, { change(header, claims) { claims.nonce = 'another'.padEnd(32, 'x'); } });
  await expectRefusal('nonces', 'foreign_nonce', () => ask(url, token, foreign));
  const slow = handle(algorithm, key, { skew: -300 });
  await call(['nonces', algorithm, 'jwt', 'a clock that is 5 minutes slow'], url, token, slow);
}

const unbound = (await clientToken('ES256')).access_token;
for (const algorithm of ALGORITHMS) {
  const [key, other] = [await newKey(algorithm), await newKey(algorithm)];
  const holder = handle(algorithm, key);
  const ofClient = async (id) => (await clientToken(id, holder)).access_token;
  const tokens = { jwt: await ofClient('dpop:jwt'), opaque: await ofClient('dpop:opaque') };
  const seconds = { jwt: await ofClient('dpop:jwt'), opaque: await ofClient('dpop:opaque') };
  const all = {
    ...tokens,
    'jwt of a user': (await userToken('dpop:jwt', holder)).access_token,
    'opaque of a user': (await userToken('dpop:opaque', holder)).access_token,
  };
  for (const [api, origin] of Object.entries(apis)) {
    const url = `${origin}/messages`;
    // One for all tokens, since nonces are those of the API.
    const DPoP = handle(algorithm, key);
    for (const [kind, token] of Object.entries(all)) {
      const place = (what) => [api, algorithm, kind, what];
      await call(place('GET'), url, token, DPoP);
      await call(place('POST with a query'), `${url}?a=b%20c#d`, token, DPoP, 'POST');
      await call(place('DELETE'), `${origin}/me`, token, DPoP, 'DELETE');
    }
    for (const [kind, token] of Object.entries(tokens)) {
      await race(url, token, DPoP);
      const ways = waysToBeRefused({ origin, token, second: seconds[kind], unbound, algorithm, key, other });
      for (const [name, attempt] of Object.entries(ways)) await expectRefusal(api, name, () => withNonce(attempt));
    }
  }
  for (const [name, skew] of [['stale', -300], ['ahead', 300]]) {
    for (const token of Object.values(tokens)) {
      const DPoP = handle(algorithm, key, { skew });
      await expectRefusal('plain', name, () => ask(`${apis.plain}/messages`, token, DPoP));
    }
  }
  await nonces(algorithm, key, tokens.jwt);
}
// Bearer tokens go on, where they may.
await call(['plain', 'none', 'bearer', 'GET'], `${apis.plain}/messages`, unbound);
await expectRefusal('bound', 'unbound_as_bearer', () => ask(`${apis.bound}/messages`, unbound));
console.log(JSON.stringify({ calls, races, refusals, made, refused }));
