/** A text in pieces that give it back: words, and everything between them by character. */
export const piecesOf = (text: string): ReadonlyArray<string> => text.match(pieces) ?? []

/** The words of a text, in order. */
export const wordsOf = (text: string): ReadonlyArray<string> => text.match(words) ?? []

// Scripts without spaces have a word for each character.
const single = String.raw`[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}]`
const word = String.raw`[[\p{L}\p{M}\p{N}_]--${single}]+`
const words = new RegExp(`${word}|${single}`, "gv")
const pieces = new RegExp(String.raw`${word}|\s+|[\s\S]`, "gv")
