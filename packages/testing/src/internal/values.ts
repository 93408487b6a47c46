import type { Identity } from "@llm-cache/core"

/** Texts that stores often break, with their names. The last is long. */
export const texts: ReadonlyArray<readonly [what: string, text: string]> = [
  ["an empty text", ""],
  ["CRLF", "a\r\nb\r\n"],
  ["CR and LF", "\ra\n\rb\n"],
  ["NUL", "\0a\0\0b\0"],
  ["emoji", "\u{1F469}\u200D\u{1F469}\u200D\u{1F467} \u{1F1EA}\u{1F1FA}"],
  ["a byte order mark", "\uFEFFa"],
  ["the replacement character", "\uFFFD"],
  ["noncharacters, and separators of lines", "\uFFFF\uFDD0\u2028\u2029\u0085"],
  ["letters that compose", "e\u0301 \u00E9 \u1E9B\u0323"],
  ["spaces at its ends", " \t a \v\f "],
  ["quotes and backslashes", `'";--\\ \\0 \\u0000 $1 %s {} \\x00`],
  ["a number", "007"],
  ["JSON", `{"text":null}`],
  ["control characters", Array.from({ length: 32 }, (_, i) => String.fromCharCode(i)).join("") + "\x7F"],
  ["1 MB", `${"0123456789abcde\u00E9".repeat(65_536)}\n`]
]

/** Paths of forks that a store may confuse. */
export const paths: ReadonlyArray<ReadonlyArray<string>> = [
  [],
  ["a"],
  ["A"],
  ["a", "b"],
  ["b", "a"],
  ["a/b"],
  [`a","b`],
  ["a b"],
  ["a "],
  ["0"],
  ["0", "0"],
  ["00"],
  [".."],
  ["\u00E9"],
  ["e\u0301"],
  ["%2E"],
  ["forks"],
  ["a", "forks", "b"],
  // Longer, once it is encoded, than a file system's names.
  ["\u00E9".repeat(42)],
  ["\u00E9".repeat(43)],
  ["x".repeat(100_000)],
  ["x".repeat(100_001)],
  Array.from({ length: 500 }, (_, i) => `step ${i}`)
]

/** Identities, each with a single difference to another. */
export const triples = (model: string): ReadonlyArray<Identity.Options> => [
  { model },
  { model, temperature: 0 },
  { model, temperature: 1 },
  { model, temperature: 1.0001 },
  { model, temperature: 0.1 },
  { model, temperature: 0.30000000000000004 },
  { model, temperature: 0.3 },
  { model: `${model}_1`, temperature: 1 },
  { model: `${model}/1`, temperature: 1 },
  { model: `${model}X`, temperature: 1 },
  { model: `${model}x`, temperature: 1 },
  { model, temperature: 1, parameters: { top_p: 1 } },
  { model, temperature: 1, parameters: { top_p: "1" } },
  { model, temperature: 1, parameters: { top_p: 1, max_tokens: 10 } },
  { model, temperature: 1, parameters: { max_tokens: 10 } },
  { model, temperature: 1, parameters: { stop: ["a", "b"] } },
  { model, temperature: 1, parameters: { stop: ["b", "a"] } },
  { model, temperature: 1, parameters: { stop: null } }
]
