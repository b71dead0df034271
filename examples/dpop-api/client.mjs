// A client with DPoP (RFC 9449), by WebCrypto alone, for Node.js 20 or newer.
//
//     node client.mjs URL TOKEN_ENDPOINT
//
// Gets a token that is bound to a fresh key, and calls the API twice.

const [url, tokenEndpoint] = process.argv.slice(2);
const nonces = {}; // By origin: a server gives its own (section 8.2).

const base64url = (octets) => Buffer.from(octets).toString('base64url');
const encode = (value) => base64url(JSON.stringify(value));

// The private key cannot be read, not even by this script.
const key = await crypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, false, ['sign', 'verify']);
const { kty, crv, x, y } = await crypto.subtle.exportKey('jwk', key.publicKey);

// A proof for one request (section 4.2).
async function proof(method, url, token) {
  const { origin, pathname } = new URL(url);
  const claims = { jti: crypto.randomUUID(), htm: method, htu: origin + pathname, iat: Math.floor(Date.now() / 1000) };
  if (token) claims.ath = base64url(await crypto.subtle.digest('SHA-256', Buffer.from(token)));
  if (nonces[origin]) claims.nonce = nonces[origin];
  const input = `${encode({ typ: 'dpop+jwt', alg: 'ES256', jwk: { kty, crv, x, y } })}.${encode(claims)}`;
  const algorithm = { name: 'ECDSA', hash: 'SHA-256' };
  return `${input}.${base64url(await crypto.subtle.sign(algorithm, key.privateKey, Buffer.from(input)))}`;
}

// Each attempt needs a proof of its own. Where the server wants a nonce, its response has one (sections 8 and 9).
async function send(url, { method = 'GET', token, headers, body } = {}, hasNonce = false) {
  const authorization = token ? { authorization: `DPoP ${token}` } : {};
  const dpop = await proof(method, url, token);
  const response = await fetch(url, { method, body, headers: { ...headers, ...authorization, dpop } });
  const nonce = response.headers.get('dpop-nonce');
  if (nonce) nonces[new URL(url).origin] = nonce;
  if (token) console.log(`${response.status} ${url}`);
  const error = response.headers.get('www-authenticate') ?? (response.ok ? '' : await response.clone().text());
  const retries = !hasNonce && nonce && error.includes('"use_dpop_nonce"');
  return retries ? send(url, { method, token, headers, body }, true) : response;
}

const headers = { authorization: `Basic ${btoa('test-client:test-secret')}` };
const body = new URLSearchParams({ grant_type: 'client_credentials', scope: 'message', audience: 'https://api.example' });
const { access_token: token } = await (await send(tokenEndpoint, { method: 'POST', headers, body })).json();
for (let calls = 0; calls < 2; calls += 1) {
  if (!(await send(url, { token })).ok) process.exit(1);
}
