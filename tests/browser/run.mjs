// The page to try tokens, in a real browser. Needs `npm ci` in this folder, Chromium, and the two programs that serve the page:
//
//     MESSAGE_API=target/debug/message-api SCOPEGATE=target/debug/scopegate node tests/browser/run.mjs
//
// CHROMIUM     the browser (default /usr/bin/chromium)
// PICTURES     the folder for the pictures of the page and the logs of the programs (default target/browser)
// UPDATE_DOCS  with 1, writes docs/playground.png as well
import { mkdir } from 'node:fs/promises';

import { chromium } from 'playwright-core';

import { appearances, byKeyboard } from './appearance.mjs';
import { layouts } from './layout.mjs';
import { picture } from './picture.mjs';
import { serve } from './server.mjs';
import * as story from './story.mjs';
import { open, seen } from './watch.mjs';

const { MESSAGE_API, SCOPEGATE, CHROMIUM = '/usr/bin/chromium', PICTURES = 'target/browser', UPDATE_DOCS } = process.env;
if (!MESSAGE_API || !SCOPEGATE) throw new Error('MESSAGE_API and SCOPEGATE have to name the programs that serve the page');

/** A visit to a page of its own. */
async function visit(browser, url, name, ...parts) {
  const opened = await open(browser, url);
  const results = [];
  for (const part of parts) {
    try {
      results.push(await part(opened));
    } catch (error) {
      await opened.page.screenshot({ path: `${PICTURES}/failed.png`, fullPage: true });
      throw new Error(`${name}, ${part.name}: ${error.message} (${PICTURES}/failed.png; ${opened.faults.join('; ')})`, {
        cause: error,
      });
    }
  }
  await opened.close();
  return results;
}

async function run(browser) {
  const api = await serve(`${PICTURES}/message-api.log`, MESSAGE_API);
  try {
    await visit(browser, api.url, 'outage at once', story.outageAtOnce);
    const [, , tried] = await visit(
      browser,
      api.url,
      'tokens',
      story.firstView,
      story.statuses,
      story.faults,
      story.proofs,
      story.addedClaims,
      story.ownToken,
    );
    const [, during] = await visit(browser, api.url, 'issuer', story.rotation, story.outage, story.revocation);
    await visit(browser, api.url, 'pause', story.pause);
    await visit(browser, api.url, 'keyboard', byKeyboard);
    await appearances(browser, api.url, PICTURES);
    await layouts(browser, api.url);
    if (UPDATE_DOCS === '1') await picture(browser, api.url, 'docs/playground.png');
    const goneServer = (opened) => story.serverGone(opened, api);
    await visit(browser, api.url, 'end', goneServer);
    console.log(`faults: ${tried} tried; outage: ${during} requests, none lost`);
  } finally {
    await api.stop();
  }

  const issuer = await serve(`${PICTURES}/issuer.log`, SCOPEGATE, ['issuer', '--port', '0']);
  try {
    await visit(browser, issuer.url, 'scopegate issuer', story.outageAtOnce, story.issuerOfTheCommand);
  } finally {
    await issuer.stop();
  }
}

await mkdir(PICTURES, { recursive: true });
const browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox'] });
try {
  await run(browser);
} finally {
  await browser.close();
}
console.log(`browser: ${seen.checks} checks, ${seen.requests} requests, 0 to other hosts, ${seen.violations} axe violations`);
