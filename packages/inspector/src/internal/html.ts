import { pieces, visible } from "./visible.ts"

/** A piece of a page. Only `html` and `trusted` make one. */
export class Html {
  readonly text: string

  /** @internal */
  constructor(text: string) {
    this.text = text
  }
}

/** The content of a page: texts are escaped, and nothing is shown for `undefined`, `null` and `false`. */
export type Part = Html | string | number | undefined | null | false | ReadonlyArray<Part>

/** A piece of a page. Every text in it is escaped, in the content of elements and in quoted attributes. */
export const html = (strings: TemplateStringsArray, ...parts: ReadonlyArray<Part>): Html =>
  new Html(String.raw({ raw: strings }, ...parts.map(render)))

/** Text that is HTML already. */
export const trusted = (text: string): Html => new Html(text)

const render = (part: Part): string =>
  part === undefined || part === null || part === false
    ? ""
    : part instanceof Html
    ? part.text
    : typeof part === "string" || typeof part === "number"
    ? escape(visible(`${part}`))
    : part.map(render).join("")

const escape = (text: string): string => text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)

/** A text of a prompt or a sample. Characters that are not seen are marked. */
export const shown = (text: string): Html =>
  html`${pieces(text).map(({ isHidden, text }) => isHidden ? html`<span class="ctl">${text}</span>` : text)}`
