/**
 * A newcomer's way through the pack, filmed: templates, a first run, words and a picture of one's own, a mask painted on
 * it, a question, a mistake and its mending.
 *
 * `node newcomer.mjs TASK.json ANSWER.json`
 * Task: as for `withFrontend`, and {screenshots: folder, pack, template, picture: file, said: {name: sentence}}.
 * Answer: {name: [last event of the run, its error or null]}.
 */

import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { withFrontend } from './page.mjs'

const task = JSON.parse(readFileSync(process.argv[2], 'utf-8'))
const LONG_MS = 240_000
const DRAWN_MS = 2500
const WINDOW = { width: 1600, height: 900 }
// What a picture shows of the graph, and the room for the frontend's own bars: left, top, right, bottom.
const SEEN = ['Picture 1', 'Video 1', 'Unison', 'Save Image', 'Answer']
const MARGINS = [75, 75, 15, 15]

const answer = await withFrontend(task, async (page) => {
  const ends = {}
  page.setDefaultTimeout(LONG_MS)
  await page.setViewportSize(WINDOW)
  await page.evaluate(helpers)

  await press(page.getByRole('button', { name: /templates/i }).first())
  await press(page.getByText(task.pack, { exact: true }).first())
  const template = page.getByText(task.template, { exact: true }).first()
  await template.waitFor()
  await film('1_templates')
  await press(template)
  await page.waitForFunction(() => nodeCalled('Unison') && nodeCalled('Picture 1'))
  await page.waitForTimeout(DRAWN_MS)
  await fit()
  await run('2_first_run')
  await say(task.said.own)
  await run('3_own_words')

  await takePicture(task.picture)
  await paint()
  await say(task.said.masked)
  await run('5_painted')
  await say(task.said.question)
  await run('6_question')

  await say(task.said.mistaken)
  await page.evaluate(() => (nodeCalled('Video 1').mode = 4))
  await run('7_mistake')
  await page.evaluate(() => (nodeCalled('Video 1').mode = 0))
  await run('8_mended')
  return ends

  /** A click that waits for the element, and for nothing to come to rest. */
  async function press(locator) {
    await locator.waitFor()
    await locator.evaluate((element) => element.click())
  }

  async function film(name) {
    await page.waitForTimeout(DRAWN_MS)
    await page.screenshot({ path: join(task.screenshots, `${name}.png`), timeout: LONG_MS })
  }

  async function fit() {
    await page.evaluate(lookAt, [SEEN, MARGINS])
    await page.waitForTimeout(DRAWN_MS)
  }

  async function box(title) {
    return page.locator(`[data-node-id="${await page.evaluate((name) => nodeCalled(name).id, title)}"]`)
  }

  async function say(sentence) {
    await (await box('Unison')).locator('textarea').first().fill(sentence)
  }

  async function run(name) {
    const end = page.evaluate(() => nextEnd())
    await press(page.getByTestId('queue-button').or(page.getByRole('button', { name: 'Run', exact: true })).first())
    ends[name] = await end
    await page.waitForTimeout(DRAWN_MS)
    await film(name)
  }

  /** Upload a picture in the node's own way. */
  async function takePicture(file) {
    await (await box('Picture 1')).locator('input[type=file]').first().setInputFiles(file)
    const name = file.split('/').at(-1)
    await page.waitForFunction((value) => nodeCalled('Picture 1').widgets[0].value.includes(value), name)
    await page.waitForTimeout(DRAWN_MS)
  }

  /** Open the mask editor on Picture 1, paint over the middle, and save. */
  async function paint() {
    await page.evaluate(() => {
      window.app.canvas.selectNode(nodeCalled('Picture 1'))
      void window.app.extensionManager.command.execute('Comfy.MaskEditor.OpenMaskEditor')
    })
    const dialog = page.getByRole('dialog').last()
    await dialog.waitFor()
    await page.waitForTimeout(2 * DRAWN_MS)
    const { x, y, size } = await page.evaluate(pictureInEditor)
    for (let row = -0.22; row <= 0.23; row += 0.05) {
      await page.mouse.move(x - 0.22 * size, y + row * size)
      await page.mouse.down()
      await page.mouse.move(x + 0.22 * size, y + row * size, { steps: 4 })
      await page.mouse.up()
    }
    await film('4_mask_editor')
    await press(dialog.getByRole('button', { name: /save/i }).first())
    await dialog.waitFor({ state: 'hidden' })
    await page.evaluate(() => window.app.canvas.deselectAll())
    await page.waitForTimeout(DRAWN_MS)
  }
})
writeFileSync(process.argv[3], JSON.stringify(answer))

/** In the page: what the other functions call. */
function helpers() {
  window.nodeCalled = (title) => window.app.graph.nodes.find((node) => node.title.startsWith(title))
  window.nextEnd = () =>
    new Promise((resolve) => {
      for (const type of ['execution_success', 'execution_error', 'execution_interrupted']) {
        const end = ({ detail }) => resolve([type, detail?.exception_message ?? null])
        window.app.api.addEventListener(type, end, { once: true })
      }
    })
}

/** In the page: these nodes as large as they fit into the window. */
function lookAt([titles, [left, top, right, bottom]]) {
  const nodes = titles.map((title) => nodeCalled(title)).filter(Boolean)
  const x = Math.min(...nodes.map((node) => node.pos[0]))
  const y = Math.min(...nodes.map((node) => node.pos[1])) - 40
  const width = Math.max(...nodes.map((node) => node.pos[0] + node.size[0])) - x
  const height = Math.max(...nodes.map((node) => node.pos[1] + node.size[1])) - y
  const { canvas } = window.app
  const scale = Math.min((innerWidth - left - right) / width, (innerHeight - top - bottom) / height)
  const frame = canvas.canvas.getBoundingClientRect()
  const spare = innerWidth - left - right - width * scale
  canvas.ds.scale = scale
  canvas.ds.offset = [(left + spare / 2 - frame.left) / scale - x, (top - frame.top) / scale - y]
  canvas.setDirty(true, true)
}

/** In the page: the middle and the size of the picture in the mask editor, in CSS pixels. */
function pictureInEditor() {
  const boxes = [...document.querySelectorAll('[role=dialog] canvas')].map((canvas) => canvas.getBoundingClientRect())
  const { left, top, width, height } = boxes.sort((a, b) => b.width * b.height - a.width * a.height)[0]
  return { x: left + width / 2, y: top + height / 2, size: Math.min(width, height) }
}
