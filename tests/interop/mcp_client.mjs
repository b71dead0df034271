// The MCP client of the interop tests: the TypeScript SDK, as it is, with a user who has no browser.
//
//     node mcp_client.mjs URL READ WRITE
//
// It knows nothing but the URL of an MCP server. It lists the tools, calls READ, calls WRITE, for which its first token does not
// suffice, and lists the tools once more. What happened is one line of JSON on stdout:
//
//     authorizations  the scope of each round at the authorization server
//     before, after   the names of the tools in both lists
//     read, written   what the tools said
//     responses       each response of the MCP server: its method, status and challenge

import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { UnauthorizedError } from '@modelcontextprotocol/sdk/client/auth.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';

import { browse } from './browser.mjs';

const [, , url, read, write] = process.argv;
const REDIRECT = 'http://127.0.0.1:9/callback';
const authorizations = [];
const responses = [];

// What an application has to bring: a place for what the SDK wants kept, and a way to the user.
class User {
  kept = {};

  get redirectUrl() { return REDIRECT; }

  get clientMetadata() {
    return {
      client_name: 'interop',
      redirect_uris: [REDIRECT],
      application_type: 'native',
      grant_types: ['authorization_code'],
      response_types: ['code'],
      token_endpoint_auth_method: 'none',
    };
  }

  clientInformation() { return this.kept.client; }

  saveClientInformation(client) { this.kept.client = client; }

  tokens() { return this.kept.tokens; }

  saveTokens(tokens) { this.kept.tokens = tokens; }

  codeVerifier() { return this.kept.verifier; }

  saveCodeVerifier(verifier) { this.kept.verifier = verifier; }

  async redirectToAuthorization(authorization) {
    authorizations.push(authorization.searchParams.get('scope'));
    this.code = browse(authorization, REDIRECT).then((callback) => callback.searchParams.get('code'));
  }
}

const user = new User();
const watched = async (input, init) => {
  const response = await fetch(input, init);
  if (String(input) === url) {
    responses.push([init?.method ?? 'GET', response.status, response.headers.get('www-authenticate')]);
  }
  return response;
};

// Does something; and where the user is needed for it, does it once more.
async function withUser(transport, attempt) {
  try {
    return await attempt(transport());
  } catch (error) {
    if (!(error instanceof UnauthorizedError)) throw error;
    await transport().finishAuth(await user.code);
    return undefined;
  }
}

const newTransport = () => new StreamableHTTPClientTransport(new URL(url), { authProvider: user, fetch: watched });
const newClient = () => new Client({ name: 'interop', version: '1.0.0' });

let transport = newTransport();
let client = newClient();
if (!(await withUser(() => transport, () => client.connect(transport).then(() => true)))) {
  [transport, client] = [newTransport(), newClient()];
  await client.connect(transport);
}
const names = async () => (await client.listTools()).tools.map(({ name }) => name);
const call = async (name) => (await client.callTool({ name, arguments: {} })).content[0].text;

const before = await names();
const said = await call(read);
const refused = await withUser(() => transport, () => call(write));
const written = refused ?? await call(write);
const after = await names();
await transport.terminateSession();
await client.close();
console.log(JSON.stringify({ authorizations, before, after, read: said, written, responses }));
process.exit();
