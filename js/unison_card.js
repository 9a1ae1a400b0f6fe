// The plan as a small card. Everything is set as text, never as markup: plans and answers hold what people typed.

const WORDS = {
  en: {
    size: "size", frames: "frames", seconds: "s", tokens: "tokens", source: "source", mask: "mask", why: "why",
    references: "references", control: "control", target: "target", first: "first", last: "last", frame: "frame",
    borders: "borders", keeps: "mask keeps what it marks", answer: "answer", planner: "planned by", ran: "ran", explained: "how the words were read", empty: "not connected: nothing behind this node runs",
  },
  zh: {
    size: "尺寸", frames: "帧", seconds: "秒", tokens: "信号 token", source: "编辑源", mask: "遮罩", why: "原因",
    references: "参考图", control: "控制", target: "目标", first: "首帧", last: "尾帧", frame: "帧",
    borders: "扩展", keeps: "遮罩标出的部分保留", answer: "回答", planner: "规划者", ran: "已运行", explained: "文字是如何理解的", empty: "未连接：此节点之后不会运行任何内容",
  },
}

const NAMES_ZH = {
  text: "文本", image: "图像", video: "视频",
  text_understanding: "文本理解", image_understanding: "图像理解", video_understanding: "视频理解",
  text_to_image: "文生图", image_editing: "图像编辑", image_control: "图像控制", image_reference: "图像参考",
  text_to_video: "文生视频", image_to_video: "图生视频", video_editing: "视频编辑", video_control: "视频控制",
  video_reference: "视频参考",
}

function wordsOf(language) {
  return language.startsWith("zh") ? WORDS.zh : WORDS.en
}

function taskName(task, language) {
  return language.startsWith("zh") && NAMES_ZH[task] ? NAMES_ZH[task] : task.replaceAll("_", " ")
}

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
function roles(card, words) {
  const name = (index) => card.media[index] ?? `#${index}`
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

export function noticeList(notices) {
  return element("div", BOX, ...notices.map((notice) => element("div", WARN, notice)))
}

export function routeLine(route, language) {
  const words = wordsOf(language)
  const name = taskName(route.chosen, language)
  const children = [element("b", "", name)]
  if (!route.connected) children.push(element("div", WARN, words.empty))
  return element("div", BOX, ...children)
}

export function planCard(card, language) {
  const words = wordsOf(language)
  const title = element("div", "", element("b", "", taskName(card.task, language)))
  if (card.planner) title.append(element("span", SMALL, `   ${words.planner} ${card.planner}`))
  const children = [title, shape(card, words), ...roles(card, words)]
  if (card.tokens) children.push(element("div", MONO, card.tokens))
  if (card.answer) children.push(element("div", "white-space: pre-wrap; margin-top: 4px;", card.answer))
  children.push(...(card.notices ?? []).map((notice) => element("div", WARN, notice)), ...reasons(card, words), ...explained(card, words))
  return element("div", BOX, ...children.filter(Boolean))
}
