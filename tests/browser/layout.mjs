// What is in sight together in windows of several sizes, and stays in its place.
import { chooseFault, moreRequests } from './controls.mjs';
import { check, checkEqual, open } from './watch.mjs';

const LAPTOP = { width: 1366, height: 650 };
const ZOOMED = { width: 620, height: 450 }; // A laptop's window at 200 %.
const PHONE = { width: 360, height: 740 };

const BUTTONS = ['#run', '#rotate', '#outage', '#revoke'];

/** What is done to the issuer, and which requests notice, is in sight of the token's controls. */
export async function layouts(browser, url) {
  await inWindow(browser, url, LAPTOP, async (page) => {
    await inSight(page, [...BUTTONS, '#fault', '#routes button'], 'the first view');
    check(await page.locator('#strip').isHidden(), 'the strip is folded before the first request');
    checkEqual(await middle(page, '#token-title'), await middle(page, '#request > h2'), 'the headings are in one line');
    await page.locator('#run').click();
    await moreRequests(page, 3);
    const place = () => page.locator('#load').evaluate((load) => load.getBoundingClientRect().top);
    const before = await place();
    await chooseFault(page, 'expired');
    await page.locator('#routes button[data-path="GET /messages"]').click();
    await page.locator('#counters li[data-status="401"]').waitFor();
    await inSight(page, [...BUTTONS, '#fault', '#counters', '#strip', '#load-summary', '.code-of-status'], 'while it sends');
    checkEqual(await place(), before, 'the strip keeps its place');
    await worstOnTop(page);
    await page.locator('#clear').click();
    check(await page.locator('#strip').isHidden(), 'and it is folded when nothing is left on it');
  });
  for (const size of [ZOOMED, PHONE]) {
    await inWindow(browser, url, size, async (page) => {
      await inSight(page, BUTTONS, 'the first view');
      await page.locator('#run').click();
      await moreRequests(page, 3);
      await inSight(page, [...BUTTONS, '#counters', '#strip'], 'while it sends');
      const covered = await page.locator('#load').evaluate((load) => innerHeight - load.getBoundingClientRect().top);
      check(covered < 0.45 * size.height, `${covered} of ${size.height} pixels are covered`);
      await focusInSight(page);
      await page.evaluate(() => scrollTo(0, document.body.scrollHeight));
      await inSight(page, ['#note', '#load-summary'], 'the end of the page');
    });
  }
}

async function inWindow(browser, url, viewport, visit) {
  const opened = await open(browser, url, { viewport });
  try {
    await visit(opened.page);
  } catch (error) {
    throw new Error(`in a window of ${viewport.width} by ${viewport.height}: ${error.message}`, { cause: error });
  }
  await opened.close();
}

async function inSight(page, selectors, when) {
  for (const selector of selectors) {
    const [top, bottom, window] = await page
      .locator(selector)
      .first()
      .evaluate((part) => [part.getBoundingClientRect().top, part.getBoundingClientRect().bottom, innerHeight]);
    check(bottom > top && top >= 0 && bottom <= window + 1, `${when}: ${selector} is from ${top} to ${bottom} of ${window}`);
  }
}

async function middle(page, selector) {
  return page.locator(selector).evaluate((heading) => {
    const text = document.createRange();
    text.selectNodeContents(heading);
    const { top, bottom } = text.getBoundingClientRect();
    return Math.round((top + bottom) / 2);
  });
}

/** A second whose requests had several answers is as the worst of them. */
async function worstOnTop(page) {
  await page.locator('#run').click();
  const seenOfIt = await page.evaluate(() => {
    const second = document.querySelector('#strip').children[40];
    [200, 503, 401, 200].forEach((status, at) => globalThis.showCell(second.children[at], status));
    const { left, width, bottom } = second.firstElementChild.getBoundingClientRect();
    return document.elementFromPoint(left + width / 2, bottom - 4).dataset.code;
  });
  checkEqual(seenOfIt, '503', 'the worst answer of a second is seen');
}

/** WCAG 2.2, focus not obscured. */
async function focusInSight(page) {
  const covered = await page.locator('main > :not(#load) :is(button, select, summary, input)').evaluateAll((controls) =>
    controls
      .map((control) => {
        control.focus();
        const top = document.getElementById('load').getBoundingClientRect().top;
        const isCovered = document.activeElement === control && control.getBoundingClientRect().bottom > top;
        return isCovered ? control.id || control.textContent : null;
      })
      .filter(Boolean),
  );
  checkEqual(covered, [], 'no control with the focus is covered');
}
