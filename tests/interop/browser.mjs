// A user without a browser: follows the redirects of the authorization server, with its cookies, until one of them leads to the
// client, and returns the authorization code that it brings.
export async function browse(start, redirectUri) {
  const cookies = new Map();
  for (let next = start; ;) {
    const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ');
    const response = await fetch(next, { redirect: 'manual', headers: { cookie } });
    const location = response.headers.get('location');
    if (!location) throw new Error(`${response.status} of ${next}: ${await response.text()}`);
    for (const line of response.headers.getSetCookie()) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(line);
      cookies.set(name, value);
    }
    next = new URL(location, next);
    if (next.href.startsWith(redirectUri)) {
      if (!next.searchParams.get('code')) throw new Error(`no code: ${next}`);
      return next;
    }
  }
}
