/** The frontend's ways to a node: the search of a double click, and the node library at the side. */

// What a name stands on in the search of newer frontends and of older ones, and in the library of both.
const FOUND = '[data-testid=result-item], .comfy-vue-node-search-box li[role=option]'
const BOX = '[role=search] input, .comfy-vue-node-search-box input'
const LISTED = '[class*="tree-node"]'
const SETTLE_MS = 700
const OPEN_MS = 2000
const PRESSES = 5

/** Double click on the empty canvas at `place` unless that was done, and type: the names found, best first. */
export async function search(page, text, place) {
  const box = page.locator(BOX).first()
  // A canvas that is still being drawn hears no double click; one does it again, as a person would.
  for (let press = 0; press < PRESSES && !(await box.isVisible()); press++) {
    await page.mouse.dblclick(...place)
    await box.waitFor({ state: 'visible', timeout: OPEN_MS }).catch(() => {})
  }
  await box.fill(text)
  await page.waitForTimeout(SETTLE_MS)
  return page.locator(FOUND).allInnerTexts()
}

/** Search for a node or blueprint by its name, and put the first found at `place`. */
export async function insert(page, name, place) {
  const [first] = (await search(page, name, place)).filter((text) => text.includes(name))
  if (!first?.startsWith(name)) throw new Error(`${name} is not found first, but ${first}`)
  await page.keyboard.press('Enter')
  await page.waitForFunction((title) => window.app.canvas.graph.nodes.some((node) => node.title === title), name)
  // Newer frontends let it follow the pointer until the next click, which the fading dialog must not catch.
  await page.locator(BOX).first().waitFor({ state: 'hidden' })
  await page.mouse.move(place[0] - 5, place[1] - 5)
  for (let press = 0; press < PRESSES; press++) {
    await page.mouse.click(...place)
    await page.waitForTimeout(SETTLE_MS)
    if (await page.evaluate(() => window.app.canvas.state?.ghostNodeId == null)) return
  }
  throw new Error(`${name} still follows the pointer`)
}

/** Away with the search, before its box is taken for another's. */
export async function closeSearch(page) {
  await page.keyboard.press('Escape')
  await page.locator(BOX).first().waitFor({ state: 'hidden' })
}

/** What the library at the side lists for a text; it is open afterwards. */
export async function listed(page, text) {
  const input = page.getByPlaceholder(/^Search/).first()
  if (!(await input.isVisible().catch(() => false))) {
    await toggleLibrary(page)
  }
  await input.fill(text)
  await page.waitForTimeout(SETTLE_MS)
  // Some of an older tree are drawings, which have no text.
  return (await page.locator(LISTED).allInnerTexts()).filter(Boolean)
}

export async function toggleLibrary(page) {
  await page.evaluate(() => window.app.extensionManager.command.execute('Workspace.ToggleSidebarTab.node-library'))
}
