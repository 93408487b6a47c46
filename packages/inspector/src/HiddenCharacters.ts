/**
 * Characters that a reader does not see, and their escapes, for texts of models on pages and terminals.
 *
 * @since 0.1.0
 */

/**
 * Characters that control a terminal, or change the order or the look of others without being seen: controls, bidirectional
 * controls, lone surrogates, line separators, and invisible characters that join nothing. Line feeds and tabs are among them.
 *
 * @category patterns
 * @since 0.1.0
 */
export const pattern: RegExp =
  /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\p{Bidi_Control}\u00AD\u180E\u200B\u2060-\u206F\uFEFF\uFFF9-\uFFFB\u{E0000}-\u{E007F}]/gu

const short: { readonly [character: string]: string } = { "\n": "\\n", "\r": "\\r", "\t": "\\t" }

/**
 * A character as JSON escapes it, such as `\u202e`.
 *
 * @category escapes
 * @since 0.1.0
 */
export const escape = (character: string): string =>
  short[character] ?? Array.from(
    { length: character.length },
    (_, i) => `\\u${character.charCodeAt(i).toString(16).padStart(4, "0")}`
  ).join("")
