// A visit: what the page says about tokens, good and spoilt, and what its strip shows while the issuer rotates its key and is
// down.
import { setTimeout as sleep } from 'node:timers/promises';

import {
  changing,
  chooseFault,
  chooseKind,
  counted,
  getToken,
  keyId,
  moreRequests,
  press,
  setScope,
  switchIssuer,
  token,
} from './controls.mjs';
import { check, checkEqual } from './watch.mjs';

const OUTAGE = 10_500; // Milliseconds.

/** A good token is there at once, and the first press shows an answer. */
export async function firstView({ page }) {
  check((await page.locator('h1').textContent()).includes('playground'), 'the page says what it is');
  check(await page.locator('#routes button').first().isVisible(), 'there is a route to press');
  checkEqual(await press(page, 'GET /messages'), { status: 200, reason: null }, 'the first token is good');
  check((await page.locator('#result .steps li').count()) >= 7, 'the decision is shown step by step');
  check(/[µm]s in the API/.test(await page.locator('#result').textContent()), 'the time is shown');
}

/** Each status that the API answers, with what it has to say. */
export async function statuses({ page }) {
  checkEqual((await press(page, 'GET /public')).status, 200);
  checkEqual(await press(page, 'GET /admin'), { status: 403, reason: 'insufficient_scope' });
  check(
    (await page.locator('#result table').first().textContent()).includes('insufficient_scope'),
    'the challenge is taken apart',
  );
  await setScope(page, 'admin', true);
  checkEqual((await press(page, 'GET /admin')).status, 200, 'with both scopes');
  await setScope(page, 'admin', false);

  await page.locator('#way').selectOption('none');
  checkEqual((await press(page, 'GET /messages')).status, 401, 'without a token');
  const result = page.locator('#result');
  check((await result.textContent()).includes('requests without a token are logged at a lower level'), 'why no line is logged');
  await page.locator('#way').selectOption('twice');
  checkEqual((await press(page, 'GET /messages')).status, 400, 'with two tokens');
  await page.locator('#way').selectOption('good');
}

/** Every fault has the answer that the page foretells, and is explained with a failed check and a remedy. */
export async function faults({ page }) {
  let tried = 0;
  for (const kind of await page.locator('input[name="kind"]').evaluateAll((inputs) => inputs.map((input) => input.value))) {
    await chooseKind(page, kind);
    const options = await page
      .locator('#fault option')
      .evaluateAll((all) => all.map(({ value, textContent }) => ({ value, textContent })));
    for (const { value, textContent } of options.filter(({ value }) => value)) {
      await chooseFault(page, value);
      const { status } = await press(page, 'GET /messages');
      checkEqual(status, Number(/\((\d{3})\)$/.exec(textContent)[1]), `${kind}: ${textContent}`);
      check(
        status === 200 || (await page.locator('#result .checks .mark.bad').count()) > 0,
        `${kind}, ${value}: a failed check is shown`,
      );
      check(status === 200 || (await page.locator('#result .remedy').count()) > 0, `${kind}, ${value}: a remedy is shown`);
      tried++;
    }
    if (kind === 'jwt') {
      await staleAnswer(page);
      await remedyInLines(page);
    }
    if (options.length > 1) await chooseFault(page, '');
    checkEqual((await press(page, 'GET /messages')).status, 200, `a good ${kind}`);
  }
  check(tried >= 12, `${tried} faults were tried`);
  await chooseKind(page, 'jwt');
  return tried;
}

/** An answer stays when the token changes, and says that it is to another one. */
async function staleAnswer(page) {
  await chooseFault(page, 'expired');
  check(await page.locator('#stale').isVisible(), 'the answer is to another token');
  await press(page, 'GET /messages');
  check(await page.locator('#stale').isHidden(), 'the answer is to this token');
}

/** A remedy that depends has a line for each case. */
async function remedyInLines(page) {
  await chooseFault(page, 'wrong_audience');
  await press(page, 'GET /messages');
  const lines = await page.locator('#result .remedy span').allTextContents();
  checkEqual(lines.length, 2, `the remedy of a wrong audience: ${lines}`);
  check(lines[0].startsWith('Remedy (client): ') && lines[1].startsWith('If '), 'to the client, or else to the operator');
}

/** A token that is bound to a key needs a proof with each request, and the page makes it. */
export async function proofs({ page }) {
  await chooseKind(page, 'dpop');
  checkEqual((await press(page, 'GET /messages')).status, 200, 'with its proof');
  for (const way of ['no-proof', 'bearer', 'old-proof']) {
    if (way === 'old-proof') {
      await page.locator('#way').selectOption('good');
      await press(page, 'GET /messages');
    }
    await page.locator('#way').selectOption(way);
    checkEqual((await press(page, 'GET /messages')).status, 401, way);
  }
  await page.locator('#way').selectOption('good');
  await chooseKind(page, 'jwt');
}

/** Claims are added to a token as they are written, and what is no JSON object is none. */
export async function addedClaims({ page }) {
  await page.getByText('Add claims').click();
  await page.locator('#claims').fill('{"roles": ["editor"], "<b>": "<i>x</i>"}');
  await getToken(page);
  const shown = await page.locator('#decoded').textContent();
  check(shown.includes('["editor"]') && shown.includes('<i>x</i>'), 'what a token says is only ever text');
  await page.locator('#claims').fill('["editor"]');
  await page.locator('#mint').click();
  await page.locator('#error', { hasText: 'no JSON object' }).waitFor();
  await page.locator('#claims').fill('');
  await getToken(page);
  check(await page.locator('#error').isHidden(), 'the error is gone with its cause');
}

/** A pasted token is sent without the line breaks and the scheme that it was copied with, and with its controls kept apart. */
export async function ownToken({ page }) {
  await setScope(page, 'profile', true);
  await chooseFault(page, 'expired');
  const expired = await token(page);
  await chooseFault(page, '');
  const good = await token(page);
  await page.getByText('Use a token of your own').click();
  const useOwn = async (text) => {
    await page.locator('#own').fill(text);
    await changing(page, () => page.locator('#use-own').click());
  };
  await useOwn(`${good.slice(0, -8)}AAAAAAAA`);
  checkEqual(await page.locator('input[name="kind"]:checked').count(), 0, 'no kind is chosen for it');
  checkEqual(await page.locator('#fault option').allTextContents(), ['not known: a token of your own'], 'nor a fault');
  checkEqual(await press(page, 'GET /messages'), { status: 401, reason: 'invalid_signature' }, 'an altered signature');
  await changing(page, () => page.locator('#previous').click());
  checkEqual(await token(page), good, 'the token before is there again');
  checkEqual(await page.locator('input[name="kind"]:checked').inputValue(), 'jwt', 'and its kind');

  await useOwn(` Bearer ${expired.slice(0, 80)}\n${expired.slice(80)}\n`);
  checkEqual(await token(page), expired, 'as it was before it was copied');
  checkEqual((await press(page, 'GET /messages')).status, 401);
  const [header, claims, signature] = good.split('.');
  const longExpired = JSON.stringify({ ...JSON.parse(Buffer.from(claims, 'base64url')), exp: 1 });
  await useOwn([header, Buffer.from(longExpired).toString('base64url'), signature].join('.'));
  await press(page, 'GET /messages');
  const [age] = /\d+ days/.exec(await page.locator('#expiry').textContent());
  check((await page.locator('#result').textContent()).includes(age), `the API says ${age} as well`);
  await useOwn('tok\u{1f642}en');
  await page.locator('#routes button[data-path="GET /messages"]').click();
  await page.locator('#error', { hasText: 'no request was made' }).waitFor();
  await page.locator('#run').click();
  await page.locator('#run', { hasText: 'Send requests' }).waitFor();
  checkEqual(await counted(page), {}, 'and none is counted');

  await useOwn(`${'x'.repeat(20_000)}.y.z`);
  const box = page.locator('#token-text');
  check((await box.boundingBox()).height < 320, 'a long token does not take the page over');
  checkEqual(await box.getAttribute('tabindex'), '0', 'and is scrolled by keyboard');
  await getToken(page);
  await setScope(page, 'profile', false);
  await chooseFault(page, 'expired');
  await changing(page, () => page.locator('#previous').click());
  checkEqual(await page.locator('#fault').inputValue(), '', 'the fault of the token before');
}

/** The key changes while requests are sent. */
export async function rotation({ page }) {
  await page.locator('#run').click();
  await moreRequests(page, 5);
  const [before, beforeKey] = [await token(page), await keyId(page)];
  const keys = await page.locator('#keys tr').count();
  await page.locator('#rotate').click();
  await page.locator('#keys tr').nth(keys).waitFor();
  await moreRequests(page, 5);
  await getToken(page);
  check((await keyId(page)) !== beforeKey, 'the new token is of the new key');
  checkEqual((await press(page, 'GET /messages')).status, 200, 'the new key is accepted');
  await moreRequests(page, 5);
  await changing(page, () => page.locator('#previous').click());
  checkEqual(await token(page), before);
  checkEqual((await press(page, 'GET /messages')).status, 200, 'and so is the old one still');
  checkEqual(Object.keys(await counted(page)), ['200'], 'no request was lost to the rotation');
}

/** The issuer is down while requests are sent: none of them notices. */
export async function outage({ page }) {
  await switchIssuer(page, 'down');
  const before = (await counted(page))['200'];
  await sleep(OUTAGE);
  const counts = await counted(page);
  checkEqual(Object.keys(counts), ['200'], 'no request was lost to the outage');
  const during = counts['200'] - before;
  check(during >= (OUTAGE / 1000) * 4, `${during} requests were sent during the outage`);
  check(/issuer has been down for/i.test(await page.locator('#load-summary').textContent()), 'the summary says so');
  await switchIssuer(page, 'up');
  await moreRequests(page, 5);
  checkEqual(Object.keys(await counted(page)), ['200'], 'and none to its end');
  check(
    /While the issuer was down, for \d+ s: \d+ requests, all answered 200\./.test(
      await page.locator('#load-summary').textContent(),
    ),
    'nor is it forgotten',
  );
  check((await page.locator('#strip .event').allTextContents()).join().includes('issuer down'), 'the strip has a mark of it');
  return during;
}

/** An opaque token is revoked while requests are sent with it; a JWT cannot be. */
export async function revocation({ page }) {
  checkEqual(await page.locator('#revoke').getAttribute('aria-disabled'), 'true', 'a JWT is not revoked');
  check((await page.locator('#irrevocable').textContent()).includes('until it expires'), 'and why is said beside');
  checkEqual((await press(page, 'GET /messages')).status, 200, 'a JWT lives until it expires');
  await chooseKind(page, 'opaque');
  checkEqual((await press(page, 'GET /messages')).status, 200, 'an opaque token');
  await moreRequests(page, 5);
  await page.locator('#revoke').click();
  await page.locator('#counters li[data-status="401"]').waitFor();
  checkEqual((await press(page, 'GET /messages')).status, 401, 'the same one, revoked');
  await moreRequests(page, 3);
  await chooseKind(page, 'jwt');
  await moreRequests(page, 5);
  await page.locator('#run').click();
  check(
    (await page.locator('#announcement').textContent()).startsWith('Stopped.'),
    'the strip stops, and a screen reader is told',
  );
}

/** The issuer is down before the API has asked it anything, and the API asks soon after. */
export async function outageAtOnce({ page }) {
  await switchIssuer(page, 'down');
  await chooseKind(page, 'opaque');
  checkEqual((await press(page, 'GET /messages')).status, 503, 'nobody can be asked');
  await page.evaluate(async (authorization) => {
    for (let sent = 0; sent < 20; sent++) await fetch('/messages', { headers: { authorization } });
  }, `Bearer ${await token(page)}`);
  await press(page, 'GET /messages');
  check((await page.locator('#result').textContent()).includes('left_out'), 'why the 22nd refusal has no line in the log');
  await switchIssuer(page, 'up');
  await sleep(2_500);
  checkEqual((await press(page, 'GET /messages')).status, 200, 'the API asks');
  await chooseKind(page, 'jwt');
}

/** An opaque token that is new while the issuer is down gets 503, and soon after the issuer is up again, 200. */
export async function pause({ page }) {
  await chooseKind(page, 'opaque');
  await page.locator('#run').click();
  await switchIssuer(page, 'down');
  await page.locator('#rotate').click();
  await page.locator('#note', { hasText: 'cannot fetch the new key' }).waitFor();
  await getToken(page);
  await page.locator('#counters li[data-status="503"]').waitFor();
  await page.locator('#revoke').click();
  await page.locator('#note', { hasText: 'gets 503 until it can' }).waitFor();
  await getToken(page);
  await sleep(3_000);
  const saysThatItPauses = (pauses) =>
    page.waitForFunction(
      (pauses) => /circuit|after a pause/.test(document.getElementById('load-summary').textContent) === pauses,
      pauses,
    );
  await saysThatItPauses(true);
  await switchIssuer(page, 'up');
  const back = Date.now();
  await saysThatItPauses(false);
  check(Date.now() - back < 8_000, 'the pause is short');
  checkEqual((await press(page, 'GET /messages')).status, 200, 'the API asks again');
  await page.locator('#run').click();
  await sleep(2_100);
  await page.locator('#run').click();
  await page.locator('#strip .event', { hasText: /nothing sent for \d s/ }).waitFor();
  await flagsApart(page);
  await page.locator('#run').click();
}

async function flagsApart(page) {
  const flags = await page.locator('#strip .event span').evaluateAll((all) =>
    all.map((flag) => {
      const { left, right, top, bottom } = flag.getBoundingClientRect();
      return { text: flag.textContent, left, right, top, bottom };
    }),
  );
  check(flags.length >= 3, `${flags.length} marks`);
  for (const [index, a] of flags.entries()) {
    for (const b of flags.slice(index + 1)) {
      const apart = a.right <= b.left || b.right <= a.left || a.bottom <= b.top || b.bottom <= a.top;
      check(apart, `${a.text} covers ${b.text}`);
    }
  }
}

/** Of a server that has ended, the page says so, and what to do. */
export async function serverGone({ page, faults }, server) {
  await server.stop();
  await page.locator('#mint').click();
  await page.locator('#error', { hasText: 'start it again' }).waitFor();
  check(await page.locator('#error').isVisible(), 'the page says that the server is gone');
  faults.splice(0, faults.length, ...faults.filter((fault) => !/ERR_CONNECTION_REFUSED/.test(fault)));
}

/** The page of `scopegate issuer`, in short. */
export async function issuerOfTheCommand({ page }) {
  const routes = await page.locator('#routes button').evaluateAll((buttons) => buttons.map((button) => button.dataset.path));
  check(routes.length >= 3, `the API of the issuer has routes: ${routes}`);
  const statuses = [];
  for (const route of routes) statuses.push((await press(page, route)).status);
  checkEqual(
    statuses,
    statuses.map(() => 200),
    'the first token is good for each',
  );
  check(
    await page
      .locator('#variables')
      .textContent()
      .then((lines) => lines.includes('=http')),
    'it says how another service trusts it',
  );
}
