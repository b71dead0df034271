// The picture of the page in the documentation.
import { chooseFault, chooseKind, getToken, moreRequests, press, switchIssuer } from './controls.mjs';
import { open } from './watch.mjs';

/** A minute of requests, through a rotation, an outage and a revocation, and the explanation of a refusal. */
export async function picture(browser, url, path) {
  const opened = await open(browser, url, { viewport: { width: 1200, height: 1010 } });
  const { page } = opened;
  await press(page, 'GET /messages');
  await page.locator('#run').click();
  await moreRequests(page, 40);
  await page.locator('#rotate').click();
  await moreRequests(page, 35);
  await getToken(page);
  await moreRequests(page, 35);
  await switchIssuer(page, 'down');
  await moreRequests(page, 60, 30_000);
  await switchIssuer(page, 'up');
  await moreRequests(page, 30);
  await chooseKind(page, 'opaque');
  await moreRequests(page, 30);
  await page.locator('#revoke').click();
  await moreRequests(page, 15);
  await chooseKind(page, 'jwt');
  await chooseFault(page, 'wrong_audience');
  await press(page, 'GET /messages');
  await moreRequests(page, 10);
  await page.mouse.move(0, 0);
  await page.evaluate(() => scrollTo(0, 0));
  await page.screenshot({ path });
  await opened.close();
}
