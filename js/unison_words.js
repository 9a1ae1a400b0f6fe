// The cards' own words; what nodes say comes with their results.

const WORDS = {
  en: {
    size: "size", frames: "frames", seconds: "s", tokens: "tokens", source: "source", mask: "mask", why: "why",
    references: "references", control: "control", target: "target", first: "first", last: "last", frame: "frame",
    borders: "borders", keeps: "mask keeps what it marks", answer: "answer", planner: "planned by", ran: "ran",
    explained: "how the words were read", empty: "not connected: nothing behind this node runs",
    old: "inputs have changed since: run again", switchOn: (title, keys) => `switch on ${title}: select it, ${keys}`,
  },
  zh: {
    size: "尺寸", frames: "帧", seconds: "秒", tokens: "信号 token", source: "编辑源", mask: "遮罩", why: "原因",
    references: "参考图", control: "控制", target: "目标", first: "首帧", last: "尾帧", frame: "帧",
    borders: "扩展", keeps: "遮罩标出的部分保留", answer: "回答", planner: "规划者", ran: "已运行",
    explained: "文字是如何理解的", empty: "未连接：此节点之后不会运行任何内容",
    old: "此后输入已改变：请重新运行", switchOn: (title, keys) => `启用“${title}”：选中它，按 ${keys}`,
  },
}

const NAMES_ZH = {
  text: "文本", image: "图像", video: "视频",
  text_understanding: "文本理解", image_understanding: "图像理解", video_understanding: "视频理解",
  text_to_image: "文生图", image_editing: "图像编辑", image_control: "图像控制", image_reference: "图像参考",
  text_to_video: "文生视频", image_to_video: "图生视频", video_editing: "视频编辑", video_control: "视频控制",
  video_reference: "视频参考",
}

export function isChinese(language) {
  return language.startsWith("zh")
}

export function wordsOf(language) {
  return isChinese(language) ? WORDS.zh : WORDS.en
}

export function taskName(task, language) {
  return (isChinese(language) && NAMES_ZH[task]) || task.replaceAll("_", " ")
}
