/** A ComfyUI frontend in a headless browser, as a person has it after the first day, and drawn whole at any zoom. */

import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

const CHROMIUM_OPTIONS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync'
]
const READY_MS = 120_000
const SETTLE_MS = 3000
const SETTINGS = {
  'Comfy.TutorialCompleted': true,
  'Comfy.InstalledVersion': '1.0.0',
  'Comfy.Minimap.Visible': false,
  'Comfy.Graph.CanvasInfo': false,
  'LiteGraph.Canvas.MinFontSizeForLOD': 0,
  'LiteGraph.Canvas.LowQualityRenderingZoomThreshold': 0.1
}

/**
 * task: {playwright, chromium, url, nodes2, settings}. Calls `use(page, taken)`, where `taken()` gives the errors and
 * warnings of the console since the last call.
 */
export async function withFrontend(task, use) {
  const { chromium } = await import(pathToFileURL(join(task.playwright, 'index.mjs')).href)
  const browser = await chromium.launch({ executablePath: task.chromium, args: CHROMIUM_OPTIONS, headless: true })
  try {
    const page = await browser.newPage({ viewport: { width: 1920, height: 1080 }, deviceScaleFactor: task.scale ?? 2 })
    page.setDefaultTimeout(READY_MS)
    const messages = []
    page.on('console', (message) => {
      const text = `${message.type()}: ${message.text()} (${message.location().url})`
      if (['error', 'warning'].includes(message.type())) messages.push(text)
    })
    page.on('pageerror', (error) => messages.push(`error: ${error.stack ?? error}`))
    const body = JSON.stringify({ ...SETTINGS, 'Comfy.VueNodes.Enabled': task.nodes2, ...task.settings })
    const headers = { 'Content-Type': 'application/json' }
    await fetch(new URL('/api/settings', task.url), { method: 'POST', body, headers })
    await open(page, task.url)
    return await use(page, () => messages.splice(0))
  } finally {
    await browser.close()
  }
}

/** The frontend with our nodes, loaded anew. */
export async function open(page, url) {
  await page.goto(url, { waitUntil: 'domcontentloaded' })
  await page.waitForFunction(() => window.app?.canvas && window.LiteGraph?.registered_node_types?.UnisonPlanner, null, {
    timeout: READY_MS
  })
  await page.waitForTimeout(SETTLE_MS)
}
