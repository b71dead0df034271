// What a visitor does on the page, and what he reads there.

/** Sends a request to a route, and returns the status and the reason that the page shows of it. */
export async function press(page, route) {
  await page.locator('#result').evaluate((result) => result.replaceChildren());
  await page.locator(`#routes button[data-path="${route}"]`).click();
  await page.locator('#result .code-of-status').waitFor();
  return answer(page);
}

export async function answer(page) {
  const status = await page.locator('#result .code-of-status').textContent();
  const reason = page.locator('#result .status > code');
  return { status: Number(/\d{3}/.exec(status)[0]), reason: (await reason.count()) > 0 ? await reason.textContent() : null };
}

/** Does what changes the token, and returns the new one. */
export async function changing(page, act) {
  const before = await token(page);
  await act();
  await page.waitForFunction((before) => document.getElementById('token-text').textContent !== before, before);
  return token(page);
}

export const token = (page) => page.locator('#token-text').textContent();
export const getToken = (page) => changing(page, () => page.locator('#mint').click());
export const chooseFault = (page, fault) => changing(page, () => page.locator('#fault').selectOption(fault));
export const setScope = (page, scope, on) =>
  changing(page, () => page.locator(`input[name="scope"][value="${scope}"]`).setChecked(on));

/** Presses the button, and waits until it says that it would do the opposite. */
export async function switchIssuer(page, afterwards) {
  await page.locator('#outage').click();
  await page.locator('#up', { hasText: afterwards }).waitFor();
}

/** How many requests of the strip had each status. */
export async function counted(page) {
  const counts = await page
    .locator('#counters li[data-status]')
    .evaluateAll((items) => items.map((item) => [item.dataset.status, Number(item.querySelector('strong').textContent)]));
  return Object.fromEntries(counts);
}

/** The key id in the header of the token on the page. */
export async function keyId(page) {
  const [header] = (await token(page)).split('.');
  return JSON.parse(Buffer.from(header, 'base64url')).kid;
}

/** Waits until the strip has counted `number` requests more than `before`, of whatever status. */
export async function moreRequests(page, number, timeout = 15_000) {
  const total = (counts) => Object.values(counts).reduce((sum, one) => sum + one, 0);
  const wanted = total(await counted(page)) + number;
  await page.waitForFunction(
    (wanted) => {
      const numbers = [...document.querySelectorAll('#counters li[data-status] strong')].map((one) => Number(one.textContent));
      return numbers.reduce((sum, one) => sum + one, 0) >= wanted;
    },
    wanted,
    { timeout },
  );
}

/** Chooses a kind of token, if it is not the one that is chosen. */
export async function chooseKind(page, kind) {
  const choice = page.locator(`input[name="kind"][value="${kind}"]`);
  if (!(await choice.isChecked())) await changing(page, () => choice.check());
}
