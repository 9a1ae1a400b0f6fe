// The sentences that people meet most, in Chinese; nodes say them in English, and what is not here stays English.

/** What a sentence looks like, and what it is in Chinese; $1 is what the first bracket matched. */
const SENTENCES = [
  [/^the instruction names (.+), but that input is not connected; connected: none$/, "指令中提到 $1，但该输入没有连接；目前没有连接任何媒体"],
  [/^the instruction names (.+), but that input is not connected; connected: (.+)$/, "指令中提到 $1，但该输入没有连接；已连接：$2"],
  [/^the instruction names (.+), but that mask is all black: paint the place white$/, "指令中提到 $1，但该遮罩全黑：请把要改的地方涂成白色"],
  [/^the instruction is empty: say what you want to make or to know$/, "指令为空：请写明想生成什么，或想知道什么"],
  [/^this instruction asks a question, and the rules cannot answer\..* with a (.+)$/s, "这条指令是提问，而规则不能回答。请以要生成的内容开头（如“生成一张……的图片”），或把 output 设为 picture 或 video，或连接“加载规划器”：$1"],
  [/^(.+) is not in the models folders\. What goes there: (.+)\. Then press R, or reload the page\.$/s, "模型文件夹里没有 $1。应放入：$2。放好后按 R 或刷新页面。"],
  [/^There is no (\w+) in the models folders yet\. What goes there: (.+)\. Then press R, or reload the page\.$/s, "模型文件夹里还没有 $1。应放入：$2。放好后按 R 或刷新页面。"],
  [/^connect clip \(UMT5-XXL\), or positive_in and negative_in$/, "请连接 clip（UMT5-XXL），或 positive_in 和 negative_in"],
  [/^there is no prompt: connect plan, write prompt, or connect positive_in$/, "没有提示词：请连接 plan、填写 prompt，或连接 positive_in"],
  [/^(\w+) holds no text: Text Context (?:\(Unison\) )?is switched off .*$/s, "$1 里没有文本：“文本上下文”被停用（绕过），或这里直接连接了“投影器”。请启用它（Ctrl+B），或连接“文本上下文”的 $1"],
  [/^Required input is missing: (.+)$/, "缺少必需的输入：$1"],
  [/^nothing fits (.+): the best score is ([\d.]+), the threshold ([\d.]+)$/s, "没有找到 $1：最高分 $2，阈值 $3"],
  [/^the plan edits (.+) without a mask and names nothing in it to look for\..*$/s, "规划要编辑 $1，但没有遮罩，也没有说明其中要找什么。请给出遮罩（白 = 要改），或说明要改什么"],
  [/^the plan edits (.+) without a mask; finding (.+) takes a detector and a segmenter,.*$/s, "规划要编辑 $1，但没有遮罩；寻找 $2 需要检测器和分割器，而这里没有。请连接它们，或给出遮罩（白 = 要改）"],
  [/^the plan follows the (\w+) of (.+); making that map from ordinary footage is not possible here\..*$/s, "规划要跟随 $2 的 $1；这里无法从普通素材制作该控制图。请给出现成的控制图；若它已经是，请把 control 设为 map"],
  [/^(\w+) marks nothing \(all black\): it counts as not connected$/, "$1 没有标出任何地方（全黑）：按未连接处理"],
  [/^demo models: they know coloured shapes, in pictures and videos of 64x64, 96x64, 64x96, 9 or 17 frames, and nothing else$/, "演示模型：只认识彩色图形，64x64、96x64、64x96 的图片和视频，9 或 17 帧"],
  [/^this instruction names none of the shapes that the embedded models know \((.+)\), so what they make will not show what it says\. (.+)$/s, "这条指令没有提到演示模型认识的图形（$1），生成的内容不会符合指令。$2"],
  [/^(.+): more colours than flat drawings have, as in a photograph\. The embedded models know coloured shapes on plain backgrounds only, so [^.]+\. (.+)$/s, "$1：颜色多于平面图形，像是照片。演示模型只认识纯色背景上的彩色图形，结果不会与它相符。$2"],
  [/^no projector and no features: no projected tokens$/, "没有投影器，也没有特征：不产生投影 token"],
  [/^no (projector|features): no projected tokens$/, "没有 $1：不产生投影 token"],
  [/^(prompt|negative) is longer than (\d+) tokens: the rest is cut$/, "$1 超过 $2 个 token：其余被截掉"],
  [/^(\w+) is not used: this plan is (\w+)$/, "$1 没有用到：此规划是 $2"],
  [/^made in segments: (\d+) \(frames (.+)\)$/, "分 $1 段生成（帧 $2）"],
  [/^a video in segments has no latent of its own: take images$/, "分段生成的视频没有自己的 latent：请使用 images"],
  [/^these sources are made at once: connect them to VACE Sampler, or set length to whole in Prepare Sources$/, "这些源输入一次生成：请连接到“VACE 采样器”，或把“准备源输入”的 length 设为 whole"],
  [/^these sources go on from a clip, of which only a part is sampled: .*$/s, "这些源输入接着一个片段生成，只采样其中一部分：请连接到“VACE 采样器”或“分段采样”"],
  [/^no length said: as many new frames as the model makes at once$/, "没有说明长度：新增的帧数为模型一次能生成的帧数"],
  [/^what is new is made to fit the last (\d+) frames of (.+) \((.+)\)$/, "新的部分与 $2 的最后 $1 帧衔接（$3）"],
  [/^what is new is made to fit the first (\d+) frames of (.+) \((.+)\)$/, "新的部分与 $2 的最前 $1 帧衔接（$3）"],
  [/^plan is empty: paste what `unison plan --json` prints$/, "plan 为空：请粘贴 `unison plan --json` 的输出"],
  [/^(\w+) is not connected, and the plan has an? (\w+) there$/, "$1 没有连接，而规划在那里需要一个 $2"],
  [/^(.+): the plan has no such medium, so it is left out$/, "$1：规划中没有这个媒体，因此不使用"],
  [/^planned by the rules: nobody answers at (\S+) \((.+)\): start the server or mend the address$/s, "由规则规划：$1 没有应答（$2）。请启动服务器或改正地址"],
  [/^nobody answers at (\S+) \((.+)\): start the server or mend the address$/s, "$1 没有应答（$2）：请启动服务器或改正地址"],
  [/^planned by the rules: (.+)$/s, "由规则规划：$1"],
  [/^(.+) takes no request without its key \((\d+)\): put it into (.+)$/s, "$1 需要密钥（$2）：请放入 $3"],
  [/^(.+) is busy \((\d+)\)(?:; it asks to wait (\d+) s)?: try again later.*$/s, "$1 正忙（$2）：请稍后再试"],
  [/^(.+) said nothing for ([\d.]+) s: it may be loading a model; try again or allow more time$/s, "$1 在 $2 秒内没有任何应答：可能正在加载模型；请重试或允许更长时间"],
  [/^the environment variable (\w+), which should hold the server's key, is not set$/, "应存放服务器密钥的环境变量 $1 没有设置"],
]

const SOCKETS = { image: "图像", video: "视频", mask: "遮罩" }

/** The sockets in a text as a Chinese interface labels them; instructions take these names too. */
export function withSockets(text) {
  return text.replace(/\b(image|video|mask)(\d{1,2})\b/g, (_, kind, number) => `${SOCKETS[kind]}${number}`)
}

/** A node's text in Chinese where it is known, line by line, else as it is. */
export function inChinese(text) {
  const whole = sentence(text)
  return whole === text ? text.split("\n").map(sentence).join("\n") : whole
}

function sentence(text) {
  const [pattern, chinese] = SENTENCES.find(([each]) => each.test(text)) ?? []
  return pattern ? withSockets(text.replace(pattern, chinese)) : text
}
