import type { Block } from "./fences.ts"

/** A JSON value in a text. */
export interface Span {
  readonly start: number
  readonly end: number
}

/** The objects and arrays in a part of a text outside of blocks, at most two. A broken one holds none. */
export const bareValues = (
  text: string,
  from: number,
  to: number,
  blocks: ReadonlyArray<Block>,
  firstBlock: number
): ReadonlyArray<Span> => {
  const values: Array<Span> = []
  let block = firstBlock
  let depth = 0
  for (let at = from; at < to && values.length < 2;) {
    if (block < blocks.length && blocks[block]!.start <= at) {
      at = Math.max(at, blocks[block++]!.end)
      continue
    }
    const char = text[at]!
    if (depth === 0 && (char === "{" || char === "[")) {
      const scanned = scan(text, at, to)
      if (scanned.open === 0) values.push({ start: at, end: scanned.at })
      depth = scanned.open
      at = scanned.at
    } else {
      if (char === "{" || char === "[") depth++
      if (depth > 0 && (char === "}" || char === "]")) depth--
      at++
    }
  }
  return values
}

const token = /[\t\n\r ]*(?:([{}[\],:])|(")|(?:-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null)(?![\w.]))/y

/** Reads an object or array with a stack of its own. The end, or the offset of a mistake and the brackets open there. */
const scan = (text: string, from: number, to: number): { readonly at: number; readonly open: number } => {
  const closers: Array<string> = []
  let at = from
  // The tokens that may follow: "v" a value, "k" a key, "e" the end of the bracket, ":" and ",".
  let may = "v"
  do {
    token.lastIndex = at
    const match = token.exec(text)
    const mistake = { at, open: closers.length }
    if (match === null || token.lastIndex > to) return mistake
    const mark = match[1] ?? match[2]
    let end = token.lastIndex
    if (mark === "\"" && (end = stringEnd(text, end, to)) === -1) return mistake
    const kind = mark === "{" || mark === "[" || mark === undefined ? "v" : mark === "}" || mark === "]" ? "e" : mark
    if (kind === "\"" ? !/[vk]/.test(may) : !may.includes(kind)) return mistake
    if (kind === "e" && closers.pop() !== mark) return mistake
    if (mark === "{" || mark === "[") closers.push(mark === "{" ? "}" : "]")
    const isObject = closers.at(-1) === "}"
    if (mark === "{") may = "ke"
    else if (mark === "[") may = "ve"
    else if (mark === ":") may = "v"
    else if (mark === ",") may = isObject ? "k" : "v"
    else if (mark === "\"" && may.includes("k")) may = ":"
    else may = ",e"
    at = end
  } while (closers.length > 0)
  return { at, open: 0 }
}

// The offset behind the quote that ends a string, or -1.
const stringEnd = (text: string, from: number, to: number): number => {
  for (let at = from; at < to; at++) {
    const char = text.charCodeAt(at)
    if (char === 34) return at + 1
    if (char < 32) return -1
    if (char === 92) {
      if (!/["\\/bfnrtu]/.test(text[++at] ?? "")) return -1
      if (text[at] === "u" && !/^[\da-fA-F]{4}$/.test(text.slice(at + 1, at + 5))) return -1
    }
  }
  return -1
}

/** The first whole number in a JSON that a number of JavaScript does not hold, and its offset. */
export const unsafeNumber = (json: string): { readonly number: string; readonly offset: number } | undefined => {
  if (!/[\d.]{16}|[eE]\+?\d{3}/.test(json)) return undefined
  const number = /-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/y
  for (let at = 0; at < json.length;) {
    if (json[at] === "\"") {
      at = stringEnd(json, at + 1, json.length)
      continue
    }
    number.lastIndex = at
    const match = number.exec(json)?.[0]
    if (match === undefined) at++
    else if (isExact(match)) at += match.length
    else return { number: match, offset: at }
  }
  return undefined
}

const isExact = (number: string): boolean => {
  const value = Number(number)
  if (!Number.isFinite(value)) return false
  const exact = decimalOf(number)
  if (exact.exponent < 0 || Number.isSafeInteger(value)) return true
  // `JSON.stringify` writes the shortest digits that read back the same number.
  const shortest = decimalOf(String(value))
  return exact.digits === shortest.digits && exact.exponent === shortest.exponent ||
    BigInt(exact.digits) * 10n ** BigInt(exact.exponent) === BigInt(value)
}

/** A number as digits without zeros at the end, times a power of ten. It is whole if the exponent is not negative. */
const decimalOf = (number: string): { readonly digits: string; readonly exponent: number } => {
  const [, whole = "", fraction = "", exponent = "0"] = /^(-?\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(number)!
  const digits = whole + fraction
  let end = digits.length
  while (end > 1 && digits[end - 1] === "0") end--
  return { digits: digits.slice(0, end), exponent: Number(exponent) - fraction.length + digits.length - end }
}
