import { assert } from "@effect/vitest"
import { headOf, type Line, type Stored } from "./processProtocol.ts"

type Runs = ReadonlyArray<ReadonlyArray<Line>>

/** What was bought, by the purchase. */
const purchasesOf = (runs: Runs) =>
  runs.flat().filter((line) => line._tag === "Bought").map(({ prompt, purchase, size }) => ({
    prompt,
    purchase,
    heads: Array.from({ length: size }, (_, i) => headOf(purchase, i, size, prompt))
  }))

type Purchases = ReturnType<typeof purchasesOf>

/** The sequence of each prompt, of samples that are whole, were bought for this prompt, and are nowhere else. */
const sequencesOf = (stored: ReadonlyArray<Stored>, purchases: Purchases) => {
  const prompts = new Map(purchases.flatMap(({ heads, prompt }) => heads.map((head) => [head, prompt])))
  const places = new Map<string, string>()
  const sequences = new Map<string, Map<number, string>>()
  for (const { head, position, prompt } of stored) {
    const place = `position ${position} of "${prompt}"`
    assert.strictEqual(prompts.get(head), prompt, `${place} is not a sample that was bought for it: ${head}`)
    assert.isUndefined(places.get(head), `${place} is a sample that is at ${places.get(head)} too: ${head}`)
    places.set(head, place)
    const sequence = sequences.get(prompt) ?? new Map<number, string>()
    sequences.set(prompt, sequence.set(position, head))
  }
  return sequences
}

/** Every sample that was bought is stored, and stored once. (A gap is drawn by who comes to it.) */
export const checkBought = (stored: ReadonlyArray<Stored>, runs: Runs): void => {
  const purchases = purchasesOf(runs)
  sequencesOf(stored, purchases)
  const heads = new Set(stored.map(({ head }) => head))
  for (const head of purchases.flatMap(({ heads }) => heads)) {
    assert.isTrue(heads.has(head), `a sample that was bought is lost: ${head}`)
  }
}

/** Of a purchase, all samples are stored or none, and each once. */
export const checkKilled = (stored: ReadonlyArray<Stored>, runs: Runs): void => {
  const purchases = purchasesOf(runs)
  sequencesOf(stored, purchases)
  const present = new Set(stored.map(({ head }) => head))
  for (const { heads, purchase } of purchases) {
    const there = heads.filter((head) => present.has(head)).length
    assert.isTrue(
      there === 0 || there === heads.length,
      `${there} of the ${heads.length} samples of ${purchase} are stored`
    )
  }
}

/** Nothing has failed. */
export const checkErrors = (runs: Runs): void => {
  for (const line of runs.flat()) if (line._tag === "Failed") assert.fail(`a process has failed: ${line.error}`)
}

/** What each process has seen is what is stored. */
export const checkSeen = (stored: ReadonlyArray<Stored>, runs: Runs): void => {
  const sequences = new Map<string, Array<string | undefined>>()
  for (const { head, position, prompt } of stored) {
    const sequence = sequences.get(prompt) ?? []
    sequence[position] = head
    sequences.set(prompt, sequence)
  }
  for (const run of runs) {
    const independent = new Map<string, Array<string>>()
    for (const { head, position, prompt } of run.filter((line) => line._tag === "Seen")) {
      if (position === undefined) independent.set(prompt, [...independent.get(prompt) ?? [], head])
      else assert.strictEqual(head, sequences.get(prompt)?.[position], `what was seen at ${position} of "${prompt}"`)
    }
    // Shared readers hand out each position once.
    for (const [prompt, heads] of independent) {
      assert.sameMembers(heads, (sequences.get(prompt) ?? []).slice(0, heads.length) as Array<string>, prompt)
    }
  }
}
