// What the page looks like, and whether everyone can use it.
import { readFile } from 'node:fs/promises';

import { chooseFault, press } from './controls.mjs';
import { check, checkEqual, open, seen } from './watch.mjs';

const axe = await readFile(new URL('node_modules/axe-core/axe.min.js', import.meta.url), 'utf8');

export const APPEARANCES = {
  light: {},
  dark: { colorScheme: 'dark' },
  narrow: { viewport: { width: 360, height: 740 }, reducedMotion: 'reduce' },
  forced: { forcedColors: 'active' },
};

/** Text on a colour that is drawn by the style sheet alone, where axe does not look. */
const PAIRS = [
  ['--ok-cell', '--on-ok-cell'],
  ['--bad', '--on-solid'],
  ['--warn', '--on-solid'],
  ['--odd', '--on-solid'],
  ['--late', '--on-solid'],
  ['--ink', '--page'],
  ['--accent', '--on-accent'],
];

/** Opens the page in each appearance, with a refusal and all that folds open shown, and writes a picture of it into `folder`. */
export async function appearances(browser, url, folder) {
  for (const [name, options] of Object.entries(APPEARANCES)) {
    const opened = await open(browser, url, options);
    const { page } = opened;
    await page.locator('#run').click();
    await chooseFault(page, 'expired');
    await press(page, 'GET /messages');
    await page.locator('#counters li[data-status="401"]').waitFor();
    await page.locator('details').evaluateAll((all) => all.forEach((details) => (details.open = true)));
    await accessible(page, name);
    await fitsItsWidth(page, name);
    await contrasts(page, name);
    await bigEnough(page, name);
    await drawn(page, name);
    const moving = await page.locator('#token-text').evaluate((token) => getComputedStyle(token).animationName);
    checkEqual(moving, options.reducedMotion === 'reduce' ? 'none' : 'fresh', `${name}: motion`);
    await page
      .locator('details')
      .evaluateAll((all) => all.forEach((details) => (details.open = details.querySelector('.bad') !== null)));
    await page.screenshot({ path: `${folder}/${name}.png`, fullPage: name === 'narrow' });
    await opened.close();
  }
}

async function accessible(page, name) {
  await page.evaluate(axe);
  const { violations, passes } = await page.evaluate(() => globalThis.axe.run());
  check(passes.length >= 20, `axe applied ${passes.length} rules to the ${name} page`);
  seen.violations += violations.length;
  checkEqual(
    violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`),
    [],
    `axe: ${name}`,
  );

  const session = await page.context().newCDPSession(page);
  const { nodes } = await session.send('Accessibility.getFullAXTree');
  const roles = new Set(['button', 'checkbox', 'combobox', 'DisclosureTriangle', 'link', 'radio', 'textbox']);
  const controls = nodes.filter(({ role, ignored }) => !ignored && roles.has(role?.value));
  check(controls.length >= 20, `${controls.length} controls`);
  checkEqual(
    controls.filter(({ name }) => !name?.value?.trim()).map(({ role }) => role.value),
    [],
    `${name}: each control has a name`,
  );
}

async function fitsItsWidth(page, name) {
  const [content, window] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
  check(content <= window, `${name}: ${content} pixels in a window of ${window}`);
}

/** WCAG 2.2, target size (minimum). */
async function bigEnough(page, name) {
  const small = await page.locator('button, select, summary, textarea, label:has(input)').evaluateAll((all) =>
    all
      .map((target) => [target.textContent.trim(), target.getBoundingClientRect()])
      .filter(([, { width, height }]) => height > 0 && (width < 24 || height < 24))
      .map(([text, { width, height }]) => `${text}: ${width} by ${height}`),
  );
  checkEqual(small, [], `${name}: targets of 24 pixels`);
}

/** The strip says nothing by colour alone, and draws no line below it while the issuer is up. */
async function drawn(page, name) {
  const [lines, codes, words] = await page.evaluate(() => [
    [...document.querySelectorAll('.second')].filter((one) => parseFloat(getComputedStyle(one).borderBottomWidth) > 0).length,
    [200, 401].map((code) => getComputedStyle(document.querySelector(`.second [data-code="${code}"]`), '::before').content),
    [...document.querySelectorAll('#keys td')].map((cell) => cell.scrollWidth - cell.clientWidth),
  ]);
  checkEqual(lines, 0, `${name}: no line below the strip`);
  checkEqual(codes, name === 'narrow' ? ['"00"', '"01"'] : ['"200"', '"401"'], `${name}: the status of a request`);
  check(Math.max(...words) <= 0, `${name}: the words of the keys fit`);
}

async function contrasts(page, name) {
  const colours = await page.evaluate((names) => {
    const style = getComputedStyle(document.documentElement);
    return names.map((name) => style.getPropertyValue(name).trim());
  }, PAIRS.flat());
  PAIRS.forEach((pair, index) => {
    const ratio = contrast(colours[2 * index], colours[2 * index + 1]);
    check(ratio >= 4.5, `${name}: ${pair.join(' with ')} is ${ratio.toFixed(2)}`);
  });
}

/** WCAG 2.2, contrast ratio. */
function contrast(one, other) {
  const [dark, light] = [luminance(one), luminance(other)].sort((a, b) => a - b);
  return (light + 0.05) / (dark + 0.05);
}

function luminance(hex) {
  const [red, green, blue] = [1, 3, 5].map((at) => {
    const part = parseInt(hex.slice(at, at + 2), 16) / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

/** Every control is reached with the Tab key and shows that it has the focus, and a route is called with Enter. */
export async function byKeyboard({ page }) {
  const reached = new Set();
  for (let presses = 0; presses < 60; presses++) {
    await page.keyboard.press('Tab');
    const focus = await page.evaluate(() => {
      const { id, name, dataset, tagName, textContent } = document.activeElement;
      const outline = getComputedStyle(document.activeElement).outlineStyle;
      return {
        control: id || name || dataset?.path || `${tagName} ${textContent.trim()}`,
        isSeen: outline !== 'none',
        isBody: tagName === 'BODY',
      };
    });
    if (focus.isBody) break;
    check(focus.isSeen, `the focus on ${focus.control} is seen`);
    reached.add(focus.control);
  }
  for (const control of [
    'mint',
    'kind',
    'scope',
    'fault',
    'copy-token',
    'way',
    'GET /messages',
    'run',
    'clear',
    'rotate',
    'outage',
    'revoke',
  ]) {
    check(reached.has(control), `${control} is reached with the Tab key`);
  }
  await page.locator('#routes button[data-path="GET /messages"]').focus();
  await page.keyboard.press('Enter');
  await page.locator('#result .code-of-status').waitFor();
}
