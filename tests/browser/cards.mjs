/**
 * The steps that a person takes, and what is to be seen after them: on the nodes, in search and in the node library.
 *
 * `node cards.mjs TASK.json ANSWER.json`
 * Task: as for `withFrontend`, and {screenshots: folder, graphs: {name: {nodes, links, inside}}, steps: [[name, ...]]}.
 * Answer: what each step saw, in order.
 */

import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { closeSearch, insert, listed, search, toggleLibrary } from './library.mjs'
import { open, withFrontend } from './page.mjs'

const task = JSON.parse(readFileSync(process.argv[2], 'utf-8'))
const RUN_MS = 600_000
// From the end of a run to what it leaves on the screen: frames, and one look into the host's history.
const DRAWN_MS = 700
// Where the canvas is empty in these sessions, in CSS pixels.
const FREE = [1100, 880]

const answer = await withFrontend(task, async (page) => {
  const steps = {
    /** Make a graph and open it as a file would be. */
    build: (name) => page.evaluate(build, task.graphs[name]),
    /** Run, and close what older frontends then say in a dialog. */
    run: async () => {
      const end = await page.evaluate(run, RUN_MS)
      await page.waitForTimeout(DRAWN_MS)
      await page.keyboard.press('Escape')
      return end
    },
    /** Names that the search of a double click finds, best first; and those that the library at the side lists. */
    search: (text) => search(page, text, FREE),
    listed: (text) => listed(page, text),
    'close search': () => closeSearch(page),
    'close library': () => toggleLibrary(page),
    /** Find a node or blueprint by its name, put it onto the canvas, and connect it: [[from, slot, to, input]]. */
    insert: (name, links) => insert(page, name, FREE).then(() => page.evaluate(joinAll, links)),
    /** The text in the box of an Answer. */
    said: (title) => page.evaluate((name) => byTitle(name).widgets.find((w) => w.name === 'unison_answer').element.innerText, title),
    ids: () => page.evaluate(() => Object.fromEntries(window.app.graph.nodes.map(({ title, id }) => [title, id]))),
    shape: (title) => page.evaluate(shape, title),
    set: (title, widget, value) => page.evaluate(setWidget, [title, widget, value]),
    mode: (title, mode) => page.evaluate(setMode, [title, mode]),
    /** Load the page anew, and the graph that was in it. */
    reload: async () => {
      const saved = await page.evaluate(() => window.app.graph.serialize())
      await open(page, task.url)
      await page.evaluate((workflow) => window.app.loadGraphData(workflow, true, true), saved)
    },
    enter: (title) => page.evaluate((name) => window.app.canvas.openSubgraph(byTitle(name).subgraph, byTitle(name)), title),
    leave: () => page.evaluate(() => window.app.canvas.setGraph(window.app.rootGraph ?? window.app.graph)),
    /** Look at another place of the canvas, or at the graph again. */
    look: (x, y, scale) => page.evaluate(lookAt, [x, y, scale]),
    select: (title) => page.evaluate((name) => window.app.canvas.selectNode(byTitle(name)), title),
    cards: async () => {
      await page.waitForFunction(() => [...document.images].every((picture) => picture.complete), null, { polling: 200 })
      return page.evaluate(cards)
    },
    sizes: () => page.evaluate(() => Object.fromEntries(window.app.canvas.graph.nodes.map((n) => [n.title, [...n.size]]))),
    widgets: (title) => page.evaluate((name) => byTitle(name).widgets.map((widget) => widget.name), title),
    saved: () => page.evaluate(() => window.app.graph.serialize()),
    link: (title, socket) => page.evaluate(linkPlace, [title, socket]),
    labels: (title) => page.evaluate((name) => [...byTitle(name).inputs, ...byTitle(name).outputs].map((s) => s.label ?? null), title),
    /** Sockets' names as Nodes 2.0 draws them: outputs only; none where the canvas draws them. */
    drawn: (title) =>
      page.evaluate((name) => {
        const drawn = document.querySelectorAll(`[data-node-id="${byTitle(name).id}"] .lg-slot--output`)
        return [...drawn].map((slot) => slot.innerText.trim())
      }, title),
    panel: () => page.evaluate(() => document.querySelector('[data-testid="properties-panel"]')?.innerText ?? null),
    picture: (name) => page.screenshot({ path: join(task.screenshots, `${name}.png`) }).then(() => name)
  }
  const CHANGING = ['run', 'build', 'reload', 'enter', 'leave', 'look', 'set', 'mode', 'select']
  await page.addInitScript(helpers)
  await page.evaluate(helpers)
  const seen = []
  for (const [name, ...values] of task.steps) {
    seen.push(await steps[name](...values))
    if (CHANGING.includes(name)) await page.waitForTimeout(DRAWN_MS)
  }
  return seen
})
writeFileSync(process.argv[3], JSON.stringify(answer))

/** In the page: what the other functions call. */
function helpers() {
  window.byTitle = (title) => window.app.canvas.graph.nodes.find((node) => node.title === title)
  /** Links as [from, output (number or name), to, input]. */
  window.joinAll = (links) => {
    for (const [from, output, to, input] of links) {
      const source = byTitle(from)
      const target = byTitle(to)
      const slot = target.inputs.findIndex((socket) => socket.name === input)
      const way = typeof output === 'string' ? source.outputs.findIndex((socket) => socket.name === output) : output
      if (slot < 0 || way < 0 || !source.connect(way, target, slot)) throw new Error(`${from} does not fit ${to}.${input}`)
    }
  }
}

/** In the page: links as [from, output, to, input]. */
function joinAll(links) {
  window.joinAll(links)
}

/** In the page: sockets and widgets of a node, as a file would have them. */
function shape(title) {
  const node = byTitle(title)
  return {
    inputs: node.inputs.map(({ name, type, label, widget }) => ({ name, type, label: label ?? null, widget: widget?.name ?? null })),
    outputs: node.outputs.map(({ name, type }) => ({ name, type })),
    widgets: (node.widgets ?? []).map(({ name, value }) => [name, value])
  }
}

/**
 * In the page: {nodes: {title: [type, x, y, {widget: value}]}, links: [[from, slot, to, input]], inside: [titles],
 * off: [titles]}.
 */
async function build({ nodes, links, inside, off }) {
  const { app, LiteGraph } = window
  await app.loadGraphData({ last_node_id: 0, last_link_id: 0, nodes: [], links: [], groups: [], version: 0.4 }, true, true)
  const made = {}
  for (const [title, [type, x, y, values]] of Object.entries(nodes)) {
    const node = LiteGraph.createNode(type)
    node.title = title
    node.pos = [x, y]
    app.graph.add(node)
    for (const [name, value] of Object.entries(values ?? {})) node.widgets.find((w) => w.name === name).value = value
    made[title] = node
  }
  joinAll(links)
  for (const title of off ?? []) made[title].mode = 4
  if (inside) {
    const { node } = app.graph.convertToSubgraph(new Set(inside.map((title) => made[title])))
    node.title = 'Inside'
    node.pos = [...made[inside[0]].pos]
  }
  await app.loadGraphData(app.graph.serialize(), true, true)
}

/** In the page: press Run, and wait for the end: [type of the last event, its detail]. */
async function run(most) {
  const { api } = window.app
  return new Promise((resolve) => {
    const end = (type, detail) => resolve([type, detail])
    for (const type of ['execution_success', 'execution_error', 'execution_interrupted']) {
      api.addEventListener(type, ({ detail }) => end(type, detail), { once: true })
    }
    setTimeout(() => end('too long', null), most)
    const plain = api.queuePrompt
    api.queuePrompt = async (...given) => {
      api.queuePrompt = plain
      try {
        return await plain.apply(api, given)
      } catch (error) {
        end('refused', String(error.message ?? error))
        throw error
      }
    }
    void window.app.queuePrompt(0)
  })
}

/** In the page: a person's change of a widget. */
function setWidget([title, name, value]) {
  const node = byTitle(title)
  const widget = node.widgets.find((each) => each.name === name)
  widget.value = value
  widget.callback?.(value, window.app.canvas, node)
  window.app.extensionManager.workflow.activeWorkflow?.changeTracker?.checkState()
}

function setMode([title, mode]) {
  byTitle(title).mode = mode
  window.app.extensionManager.workflow.activeWorkflow?.changeTracker?.checkState()
}

/** In the page: what the cards say, as they are on the screen: {title: {text, height, shown}}. */
function cards() {
  const seen = {}
  for (const node of window.app.canvas.graph.nodes) {
    const element = node.widgets?.find((widget) => widget.name === 'unison_results')?.element
    if (!element?.firstElementChild) continue
    const box = element.getBoundingClientRect()
    const content = element.firstElementChild.getBoundingClientRect()
    const scale = window.app.canvas.ds.scale
    seen[node.title] = {
      text: element.innerText,
      height: box.height / scale,
      content: content.height / scale,
      shown: box.height > 0 && getComputedStyle(element).visibility !== 'hidden',
      links: [...element.querySelectorAll('a')].map((link) => link.href),
      pictures: [...element.querySelectorAll('img')].map((picture) => picture.naturalWidth),
      // How far each picture reaches below the card's foot, and how much of it stands above.
      feet: [...element.querySelectorAll('img')].map((picture) => {
        const { top, bottom } = picture.getBoundingClientRect()
        return [(bottom - box.bottom) / scale, (box.bottom - top) / scale]
      }),
      isOld: [...element.querySelectorAll('*')].some((child) => Number(child.style.opacity || 1) < 1)
    }
  }
  return seen
}

function lookAt([x, y, scale]) {
  const { canvas } = window.app
  canvas.ds.scale = scale
  canvas.ds.offset = [-x, -y]
  canvas.setDirty(true, true)
}

/** In the page: the middle of the first link at a socket, in CSS pixels. */
function linkPlace([title, name]) {
  const { canvas } = window.app
  const node = byTitle(title)
  const [input] = node.inputs.filter((socket) => socket.name === name)
  const [output] = node.outputs.filter((socket) => socket.name === name)
  const id = input?.link ?? output?.links?.[0]
  const link = canvas.graph.getLink?.(id) ?? canvas.graph.links.get?.(id) ?? canvas.graph.links[id]
  const place = link?._pos ?? [0, 0]
  const frame = canvas.canvas.getBoundingClientRect()
  const { scale, offset } = canvas.ds
  return [(place[0] + offset[0]) * scale + frame.left, (place[1] + offset[1]) * scale + frame.top]
}
