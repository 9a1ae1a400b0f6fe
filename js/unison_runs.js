// What nodes found out in which run: by the saved graph that was queued, since a result is true for that graph only.

import { app } from "../../scripts/app.js"
import { api } from "../../scripts/api.js"
import { fingerprint } from "./unison_fingerprint.js"

const MAX_RUNS = 32
const MAX_RESULTS = 256
// Runs of other sessions to look at; enough for a page that was loaded anew.
const HISTORY = 16

/** prompt id -> {workflow, tab}: what was queued here, and in which tab. */
const runs = new Map()
/** Queued, and not answered yet: a run can be over before the host has told its id. */
const unanswered = []
/** fingerprint of a node -> what it showed. */
const results = new Map()

/** The tab in front: results of the others must not land on nodes that happen to have the same numbers. */
export function currentTab() {
  return app.extensionManager?.workflow?.activeWorkflow?.key ?? ""
}

/** Notice each prompt that is queued here, and tell `refused` of node errors: {node id: {errors: [...]}}. */
export function watchQueue(refused) {
  const plain = api.queuePrompt
  api.queuePrompt = async function (number, data, ...rest) {
    const run = { workflow: data?.workflow, tab: currentTab() }
    unanswered.push(run)
    try {
      const answer = await plain.call(this, number, data, ...rest)
      if (answer?.prompt_id) keep(runs, answer.prompt_id, run, MAX_RUNS)
      if (Object.keys(answer?.node_errors ?? {}).length) refused(answer.node_errors)
      return answer
    } catch (error) {
      if (error?.response?.node_errors) refused(error.response.node_errors)
      throw error
    } finally {
      unanswered.splice(unanswered.indexOf(run), 1)
    }
  }
}

function runOf(promptId) {
  return runs.get(promptId) ?? unanswered[0]
}

/** Whether a run belongs to another tab than the one in front. */
export function isElsewhere(promptId) {
  const run = runOf(promptId)
  return run !== undefined && run.tab !== currentTab()
}

/** The saved graph of a run that was queued here. */
export function workflowOf(promptId) {
  return runOf(promptId)?.workflow
}

export function remember(workflow, executionId, output) {
  const key = workflow && fingerprint(workflow, executionId)
  if (key) keep(results, key, output, MAX_RESULTS)
}

/** What the node showed when it was fed like this. */
export function recall(workflow, executionId) {
  const key = fingerprint(workflow, executionId)
  return key ? results.get(key) : undefined
}

let history = null

/** Read once what the host still knows of earlier runs: a page that was loaded anew remembers nothing. */
export function readHistory() {
  history ??= load().catch((error) => console.warn("Unison: the host's history cannot be read:", error))
  return history
}

async function load() {
  const answer = await api.fetchApi(`/history?max_items=${HISTORY}`)
  const entries = Object.values(await answer.json())
  for (const { prompt, outputs } of entries) {
    const workflow = prompt?.[3]?.extra_pnginfo?.workflow
    for (const [id, output] of Object.entries(outputs ?? {})) if (isOurs(output)) remember(workflow, id, output)
  }
}

/** Whether a node's output is one of those that we show. */
export function isOurs(output) {
  return Object.keys(output ?? {}).some((key) => key.startsWith("unison_"))
}

function keep(map, key, value, most) {
  map.delete(key)
  map.set(key, value)
  if (map.size > most) map.delete(map.keys().next().value)
}
