// The authorization server of the interop tests: node-oidc-provider behind one listener on the loopback interface.
//
//     node provider.mjs [--port PORT]
//
// Its first line on stdout is {"issuer": "http://127.0.0.1:PORT"}. From then on a line on stdin is a command, and its
// answer is a line of JSON on stdout:
//
//     rotate     signs with new keys from now on; those from before stay published
//     withdraw   publishes none but the keys that sign
//     requests   how often the metadata and the keys were asked for: {"discovery": 1, "jwks": 1}
//
// There is no HTTP endpoint for any of this, so the server under test has nothing that a real one has not.

import { generateKeyPair } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
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

const SECRET = 'a secret that is known to everybody who reads the tests';

let generation = 0;

// A private key for each algorithm, with key ids that say where a key came from in a test's output.
async function generateKeys() {
  generation += 1;
  return Promise.all(ALGORITHMS.map(async (alg) => {
    const { privateKey } = await promisify(generateKeyPair)(...KEY_TYPES[alg]);
    return { ...privateKey.export({ format: 'jwk' }), kid: `${alg}-${generation}-${process.pid}`, alg, use: 'sig' };
  }));
}

// Any absolute URI is a resource, so the tests choose their audience. The client's id is the algorithm of its tokens.
function getResourceServerInfo(ctx, resource, client) {
  return {
    audience: resource,
    scope: 'messages:read admin',
    accessTokenTTL: 3600,
    accessTokenFormat: 'jwt',
    jwt: { sign: { alg: client.clientId } },
  };
}

// `keys` begin with those that sign, since the first one that fits is taken.
function newProvider(issuer, keys) {
  const provider = new Provider(issuer, {
    jwks: { keys },
    clients: ALGORITHMS.map((alg) => ({
      client_id: alg,
      client_secret: SECRET,
      token_endpoint_auth_method: 'client_secret_post',
      grant_types: ['client_credentials', CIBA],
      backchannel_token_delivery_mode: 'poll',
      id_token_signed_response_alg: alg,
      redirect_uris: [],
      response_types: [],
    })),
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: false },
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
  return provider.callback();
}

const { port } = parseArgs({ options: { port: { type: 'string', default: '0' } } }).values;
const requests = { discovery: 0, jwks: 0 };
let answer;

const server = createServer((request, response) => {
  if (request.url.includes('/.well-known/')) requests.discovery += 1;
  if (request.url === '/jwks') requests.jwks += 1;
  answer(request, response);
});
server.listen(Number(port), '127.0.0.1');
await once(server, 'listening');

const issuer = `http://127.0.0.1:${server.address().port}`;
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
};

const say = (message) => process.stdout.write(`${JSON.stringify(message)}\n`);
say({ issuer });
for await (const command of createInterface({ input: process.stdin })) {
  say(await commands[command]());
}
// Whoever started this is gone, or is done with it.
process.exit();
