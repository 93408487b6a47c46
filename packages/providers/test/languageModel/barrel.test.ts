import { assert, it } from "@effect/vitest"
import * as Fs from "node:fs"
import * as Path from "node:path"

/** The modules that a file loads, by its imports of values. */
const loadedBy = (file: string, seen: Set<string> = new Set()): Set<string> => {
  if (seen.has(file)) return seen
  seen.add(file)
  const code = Fs.readFileSync(file, "utf8")
  for (const [, name] of code.matchAll(/^(?:import|export) (?!type )[^"']*?from "([^"]+)"$/gm)) {
    if (name!.startsWith(".")) loadedBy(Path.join(Path.dirname(file), name!), seen)
    else seen.add(name!)
  }
  return seen
}

const source = Path.join(import.meta.dirname, "../../src")

const ofAi = (file: string) => [...loadedBy(Path.join(source, file))].filter((name) => name.startsWith("effect/ai"))

it("the barrel and the vendors load nothing of `effect/ai`, which takes time at the start of a program", () => {
  assert.deepStrictEqual(ofAi("index.ts"), [])
  assert.deepStrictEqual(ofAi("Vendors.ts"), [])
  assert.include(ofAi("ChatCompletionsModel.ts"), "effect/ai/LanguageModel")
})
