/** Pieces that several pages have. */
import type { Edit, Explanation } from "@llm-cache/core/Explain"
import * as Explain from "@llm-cache/core/Explain"
import type { Metadata } from "@llm-cache/core/Sample"
import type { Counts, Outcome } from "@llm-cache/core/TraceIndex"
import { type ChatPart, folded, messagesOf } from "./chat.ts"
import { count } from "./format.ts"
import { type Html, html, shown } from "./html.ts"
import { excerpt } from "./visible.ts"

/** A text with code in backticks. */
export const codeText = (text: string): Html =>
  html`${text.split("`").map((part, i) => i % 2 === 0 ? part : html`<code>${part}</code>`)}`

/** A link, or its text where there is no page to go to. */
export const link = (href: string | undefined, content: Html | string, options: { readonly class?: string } = {}) =>
  href === undefined
    ? html`<span class="${options.class ?? ""}">${content}</span>`
    : html`<a href="${href}" class="${options.class ?? ""}">${content}</a>`

export const outcomeBadge = (outcome: Outcome, isRacing: boolean): Html =>
  html`<span class="badge ${outcome}">${outcome}</span>${isRacing && html` <span class="badge racing">racing</span>`}`

/** A fork, or that there is none. */
export const forkText = (label: string): Html => label === "" ? html`<span class="faint">–</span>` : html`${label}`

/** A count of draws. A zero is faint. */
export const counted = (n: number): Html => n === 0 ? html`<span class="faint">0</span>` : html`${count(n)}`

export const tokensOf = (counts: Counts): number => counts.spentTokens + counts.replayedTokens

/** A text, which the keyboard reaches if it scrolls: from this length on, it may do so on a phone. */
export const textBox = (content: Html | string, length: number, options: { readonly class?: string } = {}): Html =>
  html`<div class="text ${options.class ?? ""}"${
    length > 250 && html` tabindex="0" role="group" aria-label="Text"`
  }>${content}</div>`

/** A prompt as it was sent: a chat as its messages. */
export const promptView = (prompt: string): Html => {
  const messages = messagesOf(prompt)
  return messages === undefined
    ? html`<div class="text" tabindex="0" role="group" aria-label="Prompt">${shown(prompt)}</div>`
    : html`<ol class="chat">${
      messages.map(({ parts, role }) =>
        html`<li class="message ${role.replaceAll(/\W/g, "-")}"><span class="role">${role}</span>${
          partsView(parts)
        }</li>`
      )
    }</ol>`
}

/** The length of a text if each of its lines filled one. */
export const roomOf = (text: string): number => text.length + 20 * (text.split("\n", 100).length - 1)

/** The most characters of a prompt on a page with other things. Longer ones have a page of their own. */
export const mostOfPrompt = 100_000

/** The start of a prompt, with a link to all of it. */
export const promptStart = (prompt: string, href: string): Html =>
  html`${textBox(html`${shown(prompt.slice(0, 2000).toWellFormed())}…`, prompt.length)}<p>${
    link(href, `Show all ${count(prompt.length)} characters`)
  }</p>`

const partsView = (parts: ReadonlyArray<ChatPart>): Html =>
  html`${
    parts.map(({ kind, text, title }) =>
      kind === "text"
        ? textBox(shown(text), roomOf(text))
        : html`<details class="folded"><summary>${title}</summary>${textBox(shown(text), roomOf(text))}</details>`
    )
  }`

/** The most characters of a folded part on a page with a link to the whole sample. */
const mostOfPart = 20_000

/** The metadata beside a sample's text, folded. With a link to the whole sample, long parts are only begun. */
export const sampleParts = ({ reasoning, refusal, rest }: Metadata, href?: string): Html => {
  const parts = [
    ...reasoning === undefined ? [] : [folded("reasoning", reasoning)],
    ...refusal === undefined ? [] : [{ kind: "text" as const, title: "", text: `Refused: ${refusal}` }],
    ...Object.entries(rest ?? {}).map(([name, value]) =>
      folded(name.replaceAll("_", " "), typeof value === "string" ? value : value as object)
    )
  ]
  if (href === undefined || parts.every(({ text }) => text.length <= mostOfPart)) return partsView(parts)
  return html`${
    partsView(parts.map((part) =>
      part.text.length <= mostOfPart ? part : { ...part, text: `${part.text.slice(0, 2000).toWellFormed()}…` }
    ))
  }<p>${link(href, "Show all of this sample")}</p>`
}

/** The most characters of a difference, and of one of its parts. */
const mostOfDifference = 20_000
const mostOfEdit = 4000

/** A difference of two texts, with the long parts cut. */
const editsView = (edits: ReadonlyArray<Edit>, context = 200): Html => {
  let length = 0
  const parts: Array<Html> = []
  for (const [i, { kind, text }] of edits.entries()) {
    if (length > mostOfDifference) {
      parts.push(html`<span class="cut"> … and ${count(edits.length - i)} more parts</span>`)
      break
    }
    if (kind === "same") {
      parts.push(
        text.length <= 2 * context + 20
          ? shown(text)
          : html`${i > 0 && shown(text.slice(0, context).toWellFormed())}<span class="cut"> … </span>${
            i < edits.length - 1 && shown(text.slice(-context).toWellFormed())
          }`
      )
      length += Math.min(text.length, 2 * context)
    } else {
      const part = text.length <= mostOfEdit
        ? shown(text)
        : html`${shown(text.slice(0, mostOfEdit / 2).toWellFormed())} … ${
          count(text.length - mostOfEdit)
        } characters … ${shown(text.slice(-mostOfEdit / 2).toWellFormed())}`
      parts.push(kind === "stored" ? html`<del>${part}</del>` : html`<ins>${part}</ins>`)
      length += Math.min(text.length, mostOfEdit)
    }
  }
  return textBox(html`${parts}`, length, { class: "diff" })
}

export const differencesView = (differences: ReadonlyArray<Explain.Difference>, context?: number): Html =>
  html`${
    differences.map(({ edits, message, role }) =>
      html`${message !== undefined && html`<p class="faint">message ${message} (${role})</p>`}${
        editsView(edits, context)
      }`
    )
  }`

/** Why a draw missed, in a few lines. */
export const explanationView = (explanation: Explanation): Html => {
  const [, ...lines] = Explain.format(explanation).split("\n").map((line) => line.trim())
  return explanation.verdict === "near"
    ? html`<p>${lines[0]}</p>${
      differencesView(explanation.differences, 60)
    }<p class="legend"><del>only stored</del> <ins>only asked</ins></p>`
    : html`<p>${lines[0]}</p>${
      lines.length > 1 && html`<ul>${lines.slice(1).map((line) => html`<li>${shown(excerpt(line, 400))}</li>`)}</ul>`
    }`
}

/** A table that scrolls by itself on a narrow screen, or has its cells below each other there. */
export const table = (
  label: string,
  head: ReadonlyArray<Html | string>,
  rows: ReadonlyArray<Html>,
  options: { readonly isStacked?: boolean } = {}
): Html =>
  html`<div class="scroll" tabindex="0" role="region" aria-label="${label}"><table${
    options.isStacked === true && html` class="stacked"`
  }>
<thead><tr>${head.map((title) => typeof title === "string" ? html`<th scope="col">${title}</th>` : title)}</tr></thead>
<tbody>
${rows}</tbody></table></div>`

/** A column of numbers. */
export const numeric = (title: string): Html => html`<th scope="col" class="n">${title}</th>`

/** Links to other pages of a list. Without a total, only the next page is known. */
export const pager = (
  { count: size, from, hasMore, total }: {
    readonly from: number
    readonly count: number
    readonly total: number | undefined
    readonly hasMore: boolean
  },
  href: (from: number) => string | undefined
): Html | undefined => {
  if (!hasMore && from === 0) return undefined
  const to = (at: number, text: string, isOn: boolean) =>
    isOn ? link(href(at), text) : html`<span class="off" aria-hidden="true">${text}</span>`
  const range = total === undefined
    ? `from ${count(from + 1)}`
    : `${count(Math.min(total, from + 1))}–${count(Math.min(total, from + size))} of ${count(total)}`
  return html`<nav class="pager" aria-label="Pages">${to(0, "First", from > 0)} ${
    to(Math.max(0, from - size), "Previous", from > 0)
  } <span>${range}</span> ${to(from + size, "Next", hasMore)}${
    total !== undefined && html` ${to(Math.floor((total - 1) / size) * size, "Last", hasMore)}`
  }</nav>`
}

/** A list without elements: it says what to do next. */
export const empty = (title: string, ...steps: ReadonlyArray<Html>): Html =>
  html`<div class="empty"><p><strong>${title}</strong></p>${steps}</div>`
