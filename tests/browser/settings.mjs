/**
 * A switch of the pack in ComfyUI's settings dialog: what stands there, and one press of it.
 *
 * `node settings.mjs TASK.json ANSWER.json`
 * Task: as for `withFrontend`, and {screenshots: folder, id}. Answer: {page, group, label, before, after}.
 */

import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { withFrontend } from './page.mjs'

const task = JSON.parse(readFileSync(process.argv[2], 'utf-8'))

const answer = await withFrontend(task, async (page) => {
  await page.keyboard.press('Control+,')
  const dialog = page.getByRole('dialog')
  await dialog.getByText('Unison', { exact: true }).first().click()
  const label = dialog.locator(`[id="${task.id}-label"]`)
  const toggle = dialog.locator(`[role=switch][aria-labelledby="${task.id}-label"]`)
  const state = async () => (await toggle.getAttribute('aria-checked')) === 'true'
  const found = { label: (await label.innerText()).trim(), before: await state(), page: await dialog.innerText() }
  await page.screenshot({ path: join(task.screenshots, 'settings.png') })
  const stored = page.waitForResponse((response) => response.url().includes(`/settings/${task.id}`) && response.ok())
  await toggle.click()
  await stored
  return { ...found, after: await state() }
})
writeFileSync(process.argv[3], JSON.stringify(answer))
