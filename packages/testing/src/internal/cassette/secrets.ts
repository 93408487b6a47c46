import { parseJson } from "@llm-cache/core/StoreRow"

/** Patterns of secrets. */
export const patterns: ReadonlyArray<RegExp> = [
  // Keys of OpenAI, Anthropic, OpenRouter and others.
  /\bsk-[\w-]{16,}/,
  /\bBearer\s+[\w.~+/-]{16,}/i,
  // Keys of Google, Groq, Hugging Face and xAI.
  /\bAIza[\w-]{30,}/,
  /\b(?:gsk_|hf_|xai-)\w{16,}/,
  // Tokens of GitHub, GitLab and Slack, and keys of AWS.
  /\b(?:gh[opsu]_|github_pat_|glpat-)[\w-]{16,}/,
  /\bxox[abposr]-[\w-]{10,}/,
  /\bAKIA[0-9A-Z]{16}\b/,
  // A JSON web token, and a private key.
  /\beyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{10,}/,
  /-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----/
]

/** The names of environment variables with secrets. */
const secretVariable = /(?:KEY|TOKEN|SECRET|PASSWORD)$/i

/** Shorter values are in a text by chance. */
const leastSecret = 12

/** Finds a secret in a line of JSON, and returns its kind. */
export const makeFindSecret = (patterns: ReadonlyArray<RegExp>): (line: string) => string | undefined => (line) => {
  const texts = [line, ...textsOf(JSON.parse(line))]
  const values = Object.entries(process.env).filter(([name, value]) =>
    secretVariable.test(name) && value !== undefined && value.length >= leastSecret
  )
  const variable = values.find(([, value]) => texts.some((text) => text.includes(value!)))
  if (variable !== undefined) return `the value of the environment's ${variable[0]}`
  const pattern = patterns.find((pattern) => texts.some((text) => text.search(pattern) !== -1))
  return pattern === undefined ? undefined : `a match of ${pattern}`
}

/** The texts in a value, unescaped. The prompts of language models are JSON themselves. */
const textsOf = (value: unknown): ReadonlyArray<string> => {
  if (typeof value === "string") return [value, .../^[[{]/.test(value) ? textsOf(parseJson(value)) : []]
  return typeof value === "object" && value !== null
    ? Object.entries(value).flatMap(([name, inner]) => [name, ...textsOf(inner)])
    : []
}
