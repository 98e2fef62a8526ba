// A citizen at the portal, in a real browser. Reads one JSON object from standard input, writes one to standard output:
// what was seen, and what the accessibility checker found on every page.
import { chromium } from 'playwright-core';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const asked = JSON.parse(readFileSync(0, 'utf8'));
const seen = { violations: [], pages: [], text: '', attachments: {}, sent: '', inbox: '', pdf: '', refused: '', status: 0 };

const browser = await chromium.launch({
  executablePath: '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
});
// The page itself runs no script either way; with scripts off the checker could not look.
const context = await browser.newContext({
  ignoreHTTPSErrors: true, javaScriptEnabled: asked.scripts !== false, viewport: { width: asked.width ?? 1280, height: 900 }, locale: 'sv-SE',
});
const page = await context.newPage();

async function check() {
  seen.pages.push(new URL(page.url()).pathname);
  if (asked.scripts === false || page.url().includes('/pick/')) return;
  // The page's own policy forbids scripts: the checker is run in the browser's own isolated world.
  const client = await context.newCDPSession(page);
  const { frameTree } = await client.send('Page.getFrameTree');
  const { executionContextId } = await client.send('Page.createIsolatedWorld', { frameId: frameTree.frame.id });
  const run = "axe.run({ runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'], iframes: false }).then(r => JSON.stringify({ passes: r.passes.length, violations: r.violations.map(v => v.id + ': ' + v.nodes.map(n => n.target).join(' | ')) }))";
  await client.send('Runtime.evaluate', { expression: axe, contextId: executionContextId });
  const found = await client.send('Runtime.evaluate', { expression: run, contextId: executionContextId, awaitPromise: true });
  if (found.exceptionDetails) throw new Error(JSON.stringify(found.exceptionDetails));
  const { passes, violations } = JSON.parse(found.result.value);
  if (passes < 5) throw new Error(`the checker looked at nothing on ${page.url()}`);
  for (const violation of violations) seen.violations.push(`${new URL(page.url()).pathname}: ${violation}`);
}

const main = async () => (await page.textContent('main')).replace(/\s+/g, ' ');

await page.goto(asked.link);
await check();
await page.click('a[href^="/login/"]');
let answered = null;
page.on('response', (response) => { if (response.request().isNavigationRequest()) answered = response; });
await page.click(`#${asked.person}`);
await page.waitForLoadState();
seen.status = answered.status();
await check();
if (asked.refused) {
  seen.refused = await main();
} else {
  seen.text = await main();
  for (const link of await page.locator('a[href*="/attachments/"]').all()) {
    const response = await context.request.get(new URL(await link.getAttribute('href'), page.url()).href);
    seen.attachments[(await link.textContent()).trim()] = (await response.body()).toString('base64');
  }
  const pdf = await context.request.get(`${page.url()}/pdf`);
  seen.pdf = (await pdf.body()).toString('base64');
  if (asked.answer) {
    await page.click('a[href$="/reply"]');
    await check();
    await page.fill('#text', asked.answer);
    await page.setInputFiles('#file', { name: asked.file.name, mimeType: 'application/octet-stream', buffer: Buffer.from(asked.file.octets, 'base64') });
    await page.click('button.second[value=save]');
    await page.waitForLoadState();
    await check();
    // Another language: what is typed is kept. The login ends meanwhile: it is shown again.
    await page.fill('#text', `${asked.answer} – kladde`);
    await page.click('button[value=language-da]');
    await page.waitForLoadState();
    await check();
    seen.inDanish = `${await page.getAttribute('html', 'lang')} ${await page.inputValue('#text')}`;
    await context.clearCookies();
    await page.fill('#text', asked.answer);
    await page.click('#send');
    await page.waitForLoadState();
    await check();
    seen.unsent = `${await main()} ${await page.inputValue('#text')}`;
    await page.click('button[value=language-en]');
    await page.waitForLoadState();
    await check();
    seen.unsentInEnglish = `${await main()} ${await page.inputValue('#text')}`;
    await page.click('a[href^="/login?back="]');
    await page.click('a[href^="/login/"]');
    await page.click(`#${asked.person}`);
    await page.waitForLoadState();
    seen.draft = await page.inputValue('#text');
    await page.fill('#text', `${asked.answer}\n`);
    await page.click('#send');
    await page.waitForLoadState();
    seen.sent = await main();
    await check();
    // Back to the form, and sent again with what the browser still has in it.
    await page.goBack();
    seen.back = `${page.url()} ${await main()}`;
    if (await page.locator('#send').count()) {
      await page.click('#send');
      await page.waitForLoadState();
    }
  }
  for (const path of ['/inbox', '/outbox', '/drafts', '/accessibility']) {
    await page.goto(new URL(path, asked.link).href);
    await check();
    if (path === '/inbox') seen.inbox = await main();
    if (path === '/outbox') seen.outbox = await page.locator('.messages > li').count();
  }
  await page.goto(asked.link);
  await check();
  await page.click('form[action="/logout"] button');
  await page.waitForLoadState();
  await check();
  await page.goto(new URL('/inbox', asked.link).href);
  seen.afterLogout = page.url();
}
await browser.close();
console.log(JSON.stringify(seen));
