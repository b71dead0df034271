// A page of the browser, of which every request and every message is watched.
import assert from 'node:assert/strict';

const WIDE = { width: 1240, height: 900 };

/** What all pages did together. */
export const seen = { requests: 0, checks: 0, violations: 0 };

export function check(condition, message) {
  assert.ok(condition, message);
  seen.checks++;
}

export function checkEqual(actual, expected, message) {
  assert.deepEqual(actual, expected, message);
  seen.checks++;
}

/** A page at `url` in a profile of its own, with the first token on it. */
export async function open(browser, url, options = {}) {
  const context = await browser.newContext({ viewport: WIDE, colorScheme: 'light', ...options });
  const page = await context.newPage();
  const faults = [];
  const foreign = [];
  page.on('request', (request) => {
    seen.requests++;
    const { origin, protocol } = new URL(request.url());
    if (origin !== url && protocol !== 'data:') foreign.push(request.url());
  });
  page.on('requestfailed', (request) => faults.push(`${request.method()} ${request.url()}: ${request.failure()?.errorText}`));
  page.on('pageerror', (error) => faults.push(error.message));
  page.on('console', (message) => {
    if (!isOfARefusal(message)) faults.push(`${message.type()}: ${message.text()}`);
  });
  await page.goto(url);
  await page.locator('#token-text .part-2').waitFor();
  return { page, faults, foreign, close: () => close(context, faults, foreign) };
}

/** The browser writes of each answer that is a refusal, which is what the page is for. */
function isOfARefusal(message) {
  const refusal = /^Failed to load resource: the server responded with a status of (4\d\d|503) /;
  return message.type() === 'error' && refusal.test(message.text());
}

async function close(context, faults, foreign) {
  await context.close();
  checkEqual(faults, [], 'no error in the browser');
  checkEqual(foreign, [], 'no request to another host');
}
