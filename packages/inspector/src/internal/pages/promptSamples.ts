import type { Drawn } from "@llm-cache/core/Sample"
import type { Links } from "../context.ts"
import { ago, count, forkName, identityKey, letters } from "../format.ts"
import { type Html, html, shown } from "../html.ts"
import { link, roomOf, sampleParts, textBox } from "../parts.ts"
import { nameOf, type PromptData } from "./promptData.ts"

/** The most characters of a sample that are shown at first. */
const mostShown = 1200

/** The most characters of folded samples on a page. Further ones have a page of their own. */
const mostInAll = 100_000

/** The samples of a page, of which two can be chosen. */
export const samplesForm = (data: PromptData, links: Links): Html => {
  const { compared, fork, from, hash, identity, now, runs, sequences } = data
  const target = links.prompt({ identity, promptHash: hash })
  const isSeveral = sequences.length > 1
  const first = sequences.flatMap(({ path, samples }) => samples.map(({ position }) => nameOf(path, position)))
  let room = mostInAll
  const columns = sequences.map(({ damaged, path, samples }) =>
    html`<section class="sequence"${isSeveral && html` aria-label="${forkName(path) || "outside of forks"}"`}>${
      isSeveral && html`<h3>${path.length === 0 ? "outside of forks" : forkName(path)}</h3>`
    }${damaged.map((text) => html`<p class="notice">${text}</p>`)}
<ol class="samples">${
      samples.map(({ drawn, group, position }) => {
        const name = nameOf(path, position)
        const radio = (side: "a" | "b") =>
          html`<label><input type="radio" name="${side}" value="${name}"${
            (compared?.[side] ?? first[side === "a" ? 0 : 1]) === name && html` checked`
          }> <span>${side === "a" ? "Left" : "Right"}</span><span class="sr"> is sample ${name}</span></label>`
        const { length } = drawn.text
        const isWhole = length <= mostShown || length <= room
        if (isWhole && length > mostShown) room -= length
        const href = links.prompt({ identity, promptHash: hash }, { whole: name, ...runs[0] && { run: runs[0].id } })
        return html`<li class="sample" id="sample-${name}"><div class="about"><strong>${position}</strong> <span class="letter g${
          group % 8
        }" title="answer ${letters(group)}">${letters(group)}</span><span class="faint">${about(drawn, now)}</span>${
          target !== undefined && first.length > 1 && html`<span class="ab">${radio("a")} ${radio("b")}</span>`
        }</div>${textView(drawn.text, isWhole ? undefined : href)}${sampleParts(drawn.metadata, href)}</li>`
      })
    }</ol></section>`
  )
  const content = html`<div class="${isSeveral ? "sequences" : "one"}">${columns}</div>`
  if (target === undefined || first.length < 2) return content
  return html`<form action="${target.replace(/\?.*/, "")}#compared" method="get">
<input type="hidden" name="model" value="${identityKey(identity)}">${
    runs.map(({ id }) => html`<input type="hidden" name="run" value="${id}">`)
  }${fork !== undefined && html`<input type="hidden" name="fork" value="${fork}">`}${
    from > 0 && html`<input type="hidden" name="from" value="${from}">`
  }
<p class="actions"><button>Compare left with right by word</button></p>
${content}</form>`
}

/** A long text is folded; with a link it is only begun. */
const textView = (text: string, href?: string): Html =>
  text === ""
    ? html`<p class="faint">(empty)</p>`
    : text.length <= mostShown
    ? textBox(shown(text), roomOf(text))
    : href !== undefined
    ? html`${textBox(html`${shown(text.slice(0, mostShown).toWellFormed())}…`, text.length)}<p>${
      link(href, `Show all ${count(text.length)} characters`)
    }</p>`
    : html`<details class="long"><summary><span class="text">${
      shown(text.slice(0, 400).toWellFormed())
    }…</span> <span class="faint">${count(text.length)} characters</span></summary>${
      textBox(shown(text), text.length)
    }</details>`

const about = ({ metadata }: Drawn, now: number): string => {
  const { createdAt, finishReason, inputTokens, outputTokens } = metadata
  return [
    finishReason === undefined || finishReason === "stop" ? "" : finishReason,
    inputTokens === undefined && outputTokens === undefined
      ? ""
      : `${count(inputTokens ?? 0)}/${count(outputTokens ?? 0)} tokens`,
    createdAt === undefined ? "" : ago(createdAt, now)
  ].filter((text) => text !== "").join(", ")
}

/** A sample alone, with its whole text. */
export const wholeSample = ({ now, sequences }: PromptData): Html =>
  html`${
    sequences.map(({ damaged, samples }) =>
      html`${damaged.map((text) => html`<p class="notice problem">${text}</p>`)}${
        samples.map(({ drawn }) =>
          html`<p class="faint">${count(drawn.text.length)} characters${
            about(drawn, now) !== "" && `, ${about(drawn, now)}`
          }</p>
<div class="text whole">${shown(drawn.text)}</div>${sampleParts(drawn.metadata)}`
        )
      }`
    )
  }`
