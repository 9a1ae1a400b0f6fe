/**
 * Opens a ComfyUI frontend in a headless browser, loads workflows and tells what became of them.
 *
 * `node frontend.mjs TASK.json ANSWER.json`
 * Task: {playwright, chromium, url, pack, nodes2, screenshots: folder, workflows: {name: workflow}, run: [names]}.
 * Answer: {version, console, templates, workflows: {name: {missing, sizes, graph, dialogs, prompt, crop, run,
 * sizesAfterRun, console}}}.
 */

import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { withFrontend } from './page.mjs'

const task = JSON.parse(readFileSync(process.argv[2], 'utf-8'))
// Room for the frontend's own bars around the graph: left, top, right, bottom.
const MARGINS = [90, 145, 40, 80]

await withFrontend(task, async (page, taken) => {
  const answer = { version: await page.evaluate(() => window.__COMFYUI_FRONTEND_VERSION__), workflows: {} }
  answer.console = taken()
  for (const [name, workflow] of Object.entries(task.workflows)) {
    const found = await page.evaluate(load, workflow)
    await page.waitForTimeout(1500)
    const dialogs = await page.evaluate(closeDialogs)
    found.prompt = await page.evaluate(toPrompt)
    await page.waitForTimeout(500)
    found.crop = await page.evaluate(fit, [workflow, MARGINS])
    await page.waitForTimeout(1500)
    await page.screenshot({ path: join(task.screenshots, `${name}.png`) })
    if (task.run.includes(name)) {
      found.run = await page.evaluate(queue)
      await page.waitForTimeout(3000)
      found.sizesAfterRun = await page.evaluate(sizes)
      await page.screenshot({ path: join(task.screenshots, `${name}.run.png`) })
    }
    answer.workflows[name] = { ...found, dialogs, console: taken() }
  }
  writeFileSync(process.argv[3], JSON.stringify(answer))
  answer.templates = await templates()
  writeFileSync(process.argv[3], JSON.stringify(answer))

  /** The pack's page of the template browser: which thumbnails it asks for, and the status of each. */
  async function templates() {
    const asked = {}
    page.on('response', (response) => {
      const { pathname } = new URL(response.url())
      if (pathname.includes(`/${task.pack}/`) && !pathname.endsWith('.json')) asked[pathname] = response.status()
    })
    await page.evaluate(() => void window.app.extensionManager.command.execute('Comfy.BrowseTemplates'))
    await page.getByText(task.pack, { exact: true }).first().click({ timeout: 90_000 })
    await page.waitForTimeout(3000)
    // Thumbnails are loaded when they come into view.
    await page.screenshot({ path: join(task.screenshots, 'templates.png') })
    await page.mouse.move(1100, 700)
    for (let step = 0; step < 4; step++) {
      await page.mouse.wheel(0, 600)
      await page.waitForTimeout(1500)
    }
    return asked
  }
})

/** In the page: load a workflow as a person would, and read the graph back. */
async function load(workflow) {
  await window.app.loadGraphData(workflow, true, true)
  const nodes = window.app.graph.nodes ?? window.app.graph._nodes
  return {
    missing: nodes.filter((node) => !(node.type in window.LiteGraph.registered_node_types)).map((node) => node.type),
    sizes: Object.fromEntries(nodes.map((node) => [node.id, [...node.pos, ...node.size]])),
    graph: window.app.graph.serialize()
  }
}

/** In the page: place and size of every node. */
function sizes() {
  const nodes = window.app.graph.nodes ?? window.app.graph._nodes
  return Object.fromEntries(nodes.map((node) => [node.id, [...node.pos, ...node.size]]))
}

/** In the page: what Run would queue. */
async function toPrompt() {
  return (await window.app.graphToPrompt()).output
}

/** In the page: empty the host's cache of results, so that every node has something to show, and press Run; the end. */
async function queue() {
  const headers = { 'Content-Type': 'application/json' }
  await window.app.api.fetchApi('/free', { method: 'POST', headers, body: JSON.stringify({ free_memory: true }) })
  await new Promise((resolve) => setTimeout(resolve, 2000))
  return new Promise((resolve) => {
    for (const type of ['execution_success', 'execution_error', 'execution_interrupted']) {
      window.app.api.addEventListener(type, ({ detail }) => resolve([type, detail]), { once: true })
    }
    void window.app.queuePrompt(0)
  })
}

/** In the page: what dialogs say; they are closed, as a person would. */
function closeDialogs() {
  const dialogs = [...document.querySelectorAll('[role=dialog]')]
  const texts = dialogs.map((dialog) => dialog.innerText)
  for (const dialog of dialogs) dialog.querySelector('button[aria-label^="Close"], .p-dialog-close-button')?.click()
  return texts
}

/** In the page: the whole graph in view; where it is then, as [x, y, width, height] in CSS pixels. */
function fit([workflow, [left, top, right, bottom]]) {
  const boxes = workflow.groups.map((group) => group.bounding)
  const x = Math.min(...boxes.map((b) => b[0]))
  const y = Math.min(...boxes.map((b) => b[1]))
  const width = Math.max(...boxes.map((b) => b[0] + b[2])) - x
  const height = Math.max(...boxes.map((b) => b[1] + b[3])) - y
  const canvas = window.app.canvas
  const place = canvas.canvas.getBoundingClientRect()
  const room = [window.innerWidth - left - right, window.innerHeight - top - bottom]
  const scale = Math.min(room[0] / width, room[1] / height)
  const start = [left + (room[0] - width * scale) / 2, top + (room[1] - height * scale) / 2]
  canvas.ds.scale = scale
  canvas.ds.offset = [(start[0] - place.left) / scale - x, (start[1] - place.top) / scale - y]
  canvas.setDirty(true, true)
  return [...start, width * scale, height * scale]
}
