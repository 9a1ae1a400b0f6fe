// Results as small cards. Everything is set as text, never as markup: plans and answers hold what people typed.

import { api } from "../../scripts/api.js"
import { inChinese, withSockets } from "./unison_chinese.js"
import { isChinese, taskName, wordsOf } from "./unison_words.js"

function element(tag, style, ...children) {
  const made = document.createElement(tag)
  made.style.cssText = style
  made.append(...children)
  return made
}

const BOX = "padding: 6px 8px; border-radius: 6px; background: var(--comfy-input-bg, #222); color: var(--input-text, #ddd);" +
  "font: 12px/1.45 sans-serif; overflow-wrap: anywhere;"
const SMALL = "color: var(--descrip-text, #999); font-size: 11px;"
const MONO = "font-family: monospace; font-size: 11px; color: var(--descrip-text, #999);"
const WARN = "color: #e5b567;"
const FAILED = `${BOX} white-space: pre-wrap; border-left: 4px solid var(--error-text, #ff4444);`
const OLD = "opacity: 0.55;"
const PICTURE = "height: 72px; max-width: 100%; object-fit: contain; background: #0004; border-radius: 3px;"
const LINK = /https:\/\/[\w\-.~:/?#@!$&'*+,;=%]*[\w/=&~-]/g

/** "label: value" in one line. */
function row(label, value, style = "") {
  return element("div", style, element("span", SMALL, `${label}: `), String(value))
}

/** Final size and length, as the node will make them. */
function shape(card, words) {
  if (card.width == null) return null
  const parts = [`${card.width} x ${card.height}`]
  if (card.fps != null) {
    parts.push(`${card.num_frames} ${words.frames}`, `${round(card.fps)} fps`)
    parts.push(`${round(card.num_frames / card.fps)} ${words.seconds}`)
  }
  return element("div", "", parts.join("  ·  "))
}

function round(value) {
  return Number(value.toFixed(2))
}

/** Which medium is what, by the names of the sockets. */
function roles(card, language) {
  const words = wordsOf(language)
  const label = (index) => card.media[index] ?? `#${index}`
  const name = (index) => (isChinese(language) ? withSockets(label(index)) : label(index))
  const rows = []
  if (card.source != null) rows.push(row(words.source, name(card.source)))
  if (card.mask != null) rows.push(row(words.mask, name(card.mask)))
  for (const [index, place] of card.frames) rows.push(row(words[place] ?? `${words.frame} ${place}`, name(index)))
  if (card.references.length) rows.push(row(words.references, card.references.map(name).join(", ")))
  if (card.control) rows.push(row(words.control, card.control))
  if (card.target) rows.push(row(words.target, card.target))
  if (card.borders) rows.push(row(words.borders, Object.entries(card.borders).map((side) => side.join(" ")).join(", ")))
  if (card.mask_keeps) rows.push(element("div", "", words.keeps))
  return rows
}

function reasons(card, words) {
  if (!card.reasons.length) return []
  const lines = card.reasons.map((reason) => row(reason.field, reason.text, "margin-left: 8px;"))
  const summary = element("summary", `${SMALL} cursor: pointer;`, `${words.why} (${lines.length})`)
  const details = element("details", "", summary, ...lines)
  details.open = true
  return [details]
}

/** Which rules matched which words, and what the models said; closed until somebody asks. */
function explained(card, words) {
  if (!card.explained?.length) return []
  const summary = element("summary", `${SMALL} cursor: pointer;`, words.explained)
  const lines = card.explained.map((line) => element("div", `${MONO} white-space: pre-wrap;`, line))
  return [element("details", "", summary, ...lines)]
}

/** A text whose web addresses can be clicked. */
function linked(text) {
  const parts = []
  let end = 0
  for (const { 0: address, index } of text.matchAll(LINK)) {
    const link = element("a", "color: inherit; text-decoration: underline; pointer-events: auto;", address)
    Object.assign(link, { href: address, target: "_blank", rel: "noopener noreferrer" })
    parts.push(text.slice(end, index), link)
    end = index + address.length
  }
  return [...parts, text.slice(end)]
}

/** A node's own text in the interface's language, as far as it is known. */
function said(text, language) {
  return linked(isChinese(language) ? inChinese(text) : text)
}

function notices(texts, language) {
  return (texts ?? []).map((text) => element("div", WARN, ...said(text, language)))
}

function route({ chosen, connected }, language) {
  const name = element("b", "", taskName(chosen, language))
  return connected ? [name] : [name, element("div", WARN, wordsOf(language).empty)]
}

function plan(card, language) {
  const words = wordsOf(language)
  const title = element("div", "", element("b", "", taskName(card.task, language)))
  if (card.planner) title.append(element("span", SMALL, `   ${words.planner} ${card.planner}`))
  const children = [title, shape(card, words), ...roles(card, language)]
  if (card.tokens) children.push(element("div", MONO, card.tokens))
  if (card.answer) children.push(element("div", "white-space: pre-wrap; margin-top: 4px;", card.answer))
  children.push(...notices(card.notices, language), ...reasons(card, words), ...explained(card, words))
  return children.filter(Boolean)
}

/** Pictures that the host keeps for this session; `query` names one. */
function pictures(queries) {
  const made = queries.map((query) => {
    const picture = element("img", PICTURE)
    picture.src = api.apiURL(`/view?${query}`)
    return picture
  })
  return element("div", "display: flex; flex-wrap: wrap; gap: 4px;", ...made)
}

/** What a node's output says, as elements; none when it says nothing. */
function told(output, language) {
  if (output.unison_plan?.[0]) return plan(output.unison_plan[0], language)
  if (output.unison_route?.[0]) return route(output.unison_route[0], language)
  const made = notices(output.unison_notices, language)
  return output.unison_pictures?.length ? [...made, pictures(output.unison_pictures)] : made
}

function failure({ error, cures }, language) {
  const lines = cures.map(({ title, keys }) => element("div", "font-weight: bold;", wordsOf(language).switchOn(title, keys)))
  return [element("div", "", ...said(error, language)), ...lines]
}

/** One result; `from` names its node where the card stands on the subgraph around it. */
function box(result, language) {
  const children = result.error ? failure(result, language) : told(result.output, language)
  if (!children.length) return null
  if (result.from) children.unshift(element("div", SMALL, result.from))
  if (result.isOld) children.unshift(element("div", WARN, wordsOf(language).old))
  return element("div", `${result.error ? FAILED : BOX} ${result.isOld ? OLD : ""}`, ...children)
}

/** What matters most stands first: an error, then the plan, then pictures. */
function rank({ error, output }) {
  if (error) return 0
  if (output.unison_plan) return 1
  return output.unison_pictures ? 2 : 3
}

/** Cards of one node: [{output or error, cures, isOld, from}]; null when there is nothing to say. */
export function resultCard(results, language) {
  const boxes = [...results].sort((one, other) => rank(one) - rank(other)).map((result) => box(result, language)).filter(Boolean)
  return boxes.length ? element("div", "display: flex; flex-direction: column; gap: 4px;", ...boxes) : null
}
