// The authorization server of the interop tests: node-oidc-provider on the loopback interface, behind a listener, and
// behind one with TLS for those who authenticate by a certificate.
//
//     node provider.mjs [--port PORT] [--unsigned]
//
// Asked for a signed answer about a token (RFC 9701), it gives one to every client, unless it is `unsigned`.
//
// Its first line on stdout is {"issuer": "http://127.0.0.1:PORT", "tls": "https://127.0.0.1:PORT"}. From then on a line on
// stdin is a command, and its answer is a line of JSON on stdout:
//
//     rotate     signs with new keys from now on; those from before stay published
//     withdraw   publishes none but the keys that sign
//     requests   how often it was asked for these: {"discovery": 1, "jwks": 1, "introspection": 0}
//     keys       the private keys of the resource server `api:private_key_jwt` by algorithm: {"ES256": "-----BEGIN ..."}
//     hold       answers no introspection request until `release`
//
// There is no HTTP endpoint for any of this, so the server under test has nothing that a real one has not.

import { generateKeyPair, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { createInterface } from 'node:readline';
import { parseArgs, promisify } from 'node:util';

// What the library advises (a lasting store, a runtime it supports longer) does not concern a test, and stdout is for the
// answers alone. It speaks while it is loaded, so it is loaded afterwards.
console.info = console.warn = () => {};
const { default: Provider } = await import('oidc-provider');

const CIBA = 'urn:openid:params:grant-type:ciba';

// Both names of Ed25519: `EdDSA` (RFC 8037) and the newer one (RFC 9864).
const KEY_TYPES = {
  RS256: ['rsa', { modulusLength: 2048 }],
  PS256: ['rsa', { modulusLength: 2048 }],
  ES256: ['ec', { namedCurve: 'P-256' }],
  EdDSA: ['ed25519', {}],
  Ed25519: ['ed25519', {}],
};
const ALGORITHMS = Object.keys(KEY_TYPES);

// Of proofs of possession (RFC 9449): those that a resource server accepts by default.
const PROOF_ALGORITHMS = ['ES256', 'ES384', 'EdDSA', 'Ed25519', 'PS256', 'RS256'];

const nonceSecret = randomBytes(32);

const SECRET = 'a secret that is known to everybody who reads the tests';

// Of the resource servers. It has what RFC 6749 §2.3.1 wants encoded.
const API_SECRET = '100% a secret: that+everybody & anybody=knows';

// How resource servers authenticate. The client's id says it.
const METHODS = ['client_secret_basic', 'client_secret_post', 'client_secret_jwt', 'private_key_jwt', 'tls_client_auth', 'none'];

// The keys that a resource server signs its assertions with.
const ASSERTION_KEY_TYPES = {
  RS256: KEY_TYPES.RS256,
  PS256: KEY_TYPES.PS256,
  ES256: KEY_TYPES.ES256,
  ES384: ['ec', { namedCurve: 'P-384' }],
  EdDSA: KEY_TYPES.EdDSA,
};

const assertionKeys = {};
for (const [alg, type] of Object.entries(ASSERTION_KEY_TYPES)) assertionKeys[alg] = await promisify(generateKeyPair)(...type);

const readTls = (name) => readFileSync(new URL(`../../crates/core/testdata/tls/${name}`, import.meta.url));

let generation = 0;

// A private key for each algorithm, with key ids that say where a key came from in a test's output.
async function generateKeys() {
  generation += 1;
  return Promise.all(ALGORITHMS.map(async (alg) => {
    const { privateKey } = await promisify(generateKeyPair)(...KEY_TYPES[alg]);
    return { ...privateKey.export({ format: 'jwk' }), kid: `${alg}-${generation}-${process.pid}`, alg, use: 'sig' };
  }));
}

// The scopes of the MCP server, which clients ask for that have registered themselves.
const MCP_SCOPES = ['notes:read', 'notes:write'];

// Any absolute URI is a resource, so the tests choose their audience. The client's id is the algorithm of its tokens, if
// they are JWTs. A client that has registered itself has an id by chance.
function getResourceServerInfo(ctx, resource, client) {
  const info = { audience: resource, scope: 'messages:read admin', accessTokenTTL: 3600 };
  if (ALGORITHMS.includes(client.clientId)) {
    return { ...info, accessTokenFormat: 'jwt', jwt: { sign: { alg: client.clientId } } };
  }
  if (client.clientId === 'dpop:jwt') return { ...info, accessTokenFormat: 'jwt', jwt: { sign: { alg: 'ES256' } } };
  if (clients.some(({ client_id: id }) => id === client.clientId)) return { ...info, accessTokenFormat: 'opaque' };
  return { ...info, scope: MCP_SCOPES.join(' '), accessTokenFormat: 'jwt', jwt: { sign: { alg: 'ES256' } } };
}

// The clients that get tokens: one for each algorithm, and three whose tokens are opaque. Those of `bound` are bound to the
// certificate that it presents (RFC 8705 §3).
function tokenClients() {
  return [...ALGORITHMS, 'opaque', 'stranger', 'bound'].map((id) => ({
    client_id: id,
    client_secret: SECRET,
    token_endpoint_auth_method: 'client_secret_post',
    grant_types: ['client_credentials', CIBA, ...(id === 'opaque' ? ['refresh_token'] : [])],
    backchannel_token_delivery_mode: 'poll',
    id_token_signed_response_alg: ALGORITHMS.includes(id) ? id : 'ES256',
    tls_client_certificate_bound_access_tokens: id === 'bound',
    redirect_uris: [],
    response_types: [],
  }));
}

// The clients whose tokens are bound to a key (RFC 9449 §5): JWTs, and opaque ones.
function keyHolders() {
  return ['dpop:jwt', 'dpop:opaque'].map((id) => ({
    client_id: id,
    client_secret: SECRET,
    token_endpoint_auth_method: 'client_secret_post',
    grant_types: ['client_credentials', 'authorization_code'],
    application_type: 'native',
    redirect_uris: ['http://127.0.0.1:9/callback'],
    response_types: ['code'],
    id_token_signed_response_alg: 'ES256',
    dpop_bound_access_tokens: true,
  }));
}

// The clients that ask about tokens: one for each way to authenticate, one for each algorithm of signed answers, and one
// that may not know anything.
function resourceServers() {
  const client = (id, method, more = {}) => ({
    client_id: `api:${id}`,
    token_endpoint_auth_method: method,
    grant_types: [],
    redirect_uris: [],
    response_types: [],
    ...(method.startsWith('client_secret_') ? { client_secret: API_SECRET } : {}),
    ...more,
  });
  const proofs = {
    private_key_jwt: {
      jwks: {
        keys: Object.entries(assertionKeys).map(([alg, { publicKey }]) => ({
          ...publicKey.export({ format: 'jwk' }), kid: alg, alg, use: 'sig',
        })),
      },
    },
    tls_client_auth: { tls_client_auth_san_dns: 'api.example' },
  };
  return [
    ...METHODS.map((method) => client(method, method, proofs[method])),
    ...ALGORITHMS.map((alg) => client(alg, 'client_secret_basic', { introspection_signed_response_alg: alg })),
    client('uninformed', 'client_secret_basic'),
  ];
}

// The user `alice` signs in and agrees to whatever is asked for.
async function interact(provider, request, response) {
  const { prompt, params, session, grantId } = await provider.interactionDetails(request, response);
  if (prompt.name === 'login') {
    return provider.interactionFinished(request, response, { login: { accountId: 'alice' } });
  }
  const { missingOIDCScope, missingResourceScopes = {} } = prompt.details;
  const grant = grantId
    ? await provider.Grant.find(grantId)
    : new provider.Grant({ accountId: session.accountId, clientId: params.client_id });
  if (missingOIDCScope) grant.addOIDCScope(missingOIDCScope.join(' '));
  for (const [resource, scopes] of Object.entries(missingResourceScopes)) grant.addResourceScope(resource, scopes.join(' '));
  const consent = { grantId: await grant.save() };
  return provider.interactionFinished(request, response, { consent }, { mergeWithLastSubmission: true });
}

const clients = [...tokenClients(), ...keyHolders(), ...resourceServers()];

// `keys` begin with those that sign, since the first one that fits is taken.
function newProvider(issuer, keys) {
  const provider = new Provider(issuer, {
    jwks: { keys },
    clients,
    scopes: ['openid', 'offline_access', ...MCP_SCOPES],
    clientAuthMethods: METHODS,
    cookies: { keys: ['known to everybody who reads the tests'] },
    interactions: { url: (ctx, interaction) => `/interaction/${interaction.uid}` },
    enabledJWA: {
      clientAuthSigningAlgValues: ['HS256', ...Object.keys(ASSERTION_KEY_TYPES)],
      dPoPSigningAlgValues: PROOF_ALGORITHMS,
    },
    discovery: { mtls_endpoint_aliases: { introspection_endpoint: `${tls}/token/introspection` } },
    issueRefreshToken: (ctx, client) => client.grantTypeAllowed('refresh_token'),
    features: {
      introspection: {
        enabled: true,
        allowedPolicy: (ctx, client) => client.clientId.startsWith('api:') && client.clientId !== 'api:uninformed',
      },
      jwtIntrospection: { enabled: !unsigned },
      revocation: { enabled: true },
      mTLS: {
        enabled: true,
        tlsClientAuth: true,
        certificateBoundAccessTokens: true,
        getCertificate: (ctx) => ctx.socket.getPeerX509Certificate?.(),
        certificateAuthorized: (ctx) => ctx.socket.authorized,
        certificateSubjectMatches: (ctx, property, expected) => property === 'tls_client_auth_san_dns'
          && ctx.socket.getPeerX509Certificate().subjectAltName === `DNS:${expected}`,
      },
      // Nonces of this server, which are none of the resource server.
      dPoP: {
        enabled: true,
        nonceSecret,
        requireNonce: (ctx) => ctx.oidc.client?.clientId.startsWith('dpop:') ?? false,
      },
      clientCredentials: { enabled: true },
      devInteractions: { enabled: false },
      registration: { enabled: true },
      resourceIndicators: { enabled: true, getResourceServerInfo },
      // How a user's tokens are had without a browser: the user agrees at once, on no device.
      ciba: {
        enabled: true,
        processLoginHint: (ctx, loginHint) => loginHint,
        validateBindingMessage: () => undefined,
        validateRequestContext: () => undefined,
        verifyUserCode: () => undefined,
        async triggerAuthenticationDevice(ctx, request) {
          const grant = new provider.Grant({ accountId: request.accountId, clientId: request.clientId });
          grant.addOIDCScope('openid');
          for (const resource of [request.params.resource].flat().filter(Boolean)) {
            grant.addResourceScope(resource, 'messages:read');
          }
          await grant.save();
          await provider.backchannelResult(request, grant);
        },
      },
    },
    findAccount: (ctx, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
  });
  provider.on('server_error', (ctx, error) => console.error(error));
  // A client registers with the scope that it asks for first. It may ask for more later (RFC 7591 §3.2.1: the server may
  // replace what the client submitted).
  provider.on('registration_create.success', (ctx, client) => {
    const { scope, ...others } = client.metadata();
    return provider.Client.adapter.upsert(client.clientId, others);
  });
  const callback = provider.callback();
  return (request, response) => (request.url.startsWith('/interaction/')
    ? interact(provider, request, response).catch((error) => response.writeHead(500).end(String(error)))
    : callback(request, response));
}

const { port, unsigned } = parseArgs({
  options: { port: { type: 'string', default: '0' }, unsigned: { type: 'boolean', default: false } },
}).values;
const requests = { discovery: 0, jwks: 0, introspection: 0 };
let answer;
let held = Promise.resolve();
let release = () => {};

async function listen(request, response) {
  if (request.url.includes('/.well-known/')) requests.discovery += 1;
  if (request.url === '/jwks') requests.jwks += 1;
  if (request.url === '/token/introspection') {
    requests.introspection += 1;
    await held;
  }
  answer(request, response);
}

// The address of a server that listens now.
async function addressOf(server, wanted) {
  server.listen(wanted, '127.0.0.1');
  await once(server, 'listening');
  return `127.0.0.1:${server.address().port}`;
}

const issuer = `http://${await addressOf(createServer(listen), Number(port))}`;
const certificate = { cert: readTls('server.crt.pem'), key: readTls('server.key.pem'), ca: readTls('ca.crt.pem') };
// Whether a certificate will do is for the provider to say.
const wish = { requestCert: true, rejectUnauthorized: false };
const tls = `https://${await addressOf(createTlsServer({ ...certificate, ...wish }, listen), 0)}`;
let keys = await generateKeys();
answer = newProvider(issuer, keys);

// A provider takes no new keys, so another one takes its place. What it answers for is in its tokens and its keys.
const commands = {
  async rotate() {
    keys = [...(await generateKeys()), ...keys];
    answer = newProvider(issuer, keys);
    return { published: keys.length };
  },
  withdraw() {
    keys = keys.slice(0, ALGORITHMS.length);
    answer = newProvider(issuer, keys);
    return { published: keys.length };
  },
  requests: () => requests,
  keys: () => Object.fromEntries(Object.entries(assertionKeys)
    .map(([alg, { privateKey }]) => [alg, privateKey.export({ type: 'pkcs8', format: 'pem' })])),
  hold() {
    held = new Promise((resolve) => { release = resolve; });
    return {};
  },
  release() {
    release();
    return {};
  },
};

const say = (message) => process.stdout.write(`${JSON.stringify(message)}\n`);
say({ issuer, tls });
for await (const command of createInterface({ input: process.stdin })) {
  say(await commands[command]());
}
// Whoever started this is gone, or is done with it.
process.exit();
