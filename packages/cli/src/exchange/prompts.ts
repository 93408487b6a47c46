import * as Identity from "@llm-cache/core/Identity"
import { Key } from "@llm-cache/core/Key"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { linesOf } from "../import/files.ts"
import { ImportError } from "../import/item.ts"
import { asArray, asCount, isObject, parseJson } from "../import/json.ts"

/** Values for fields that a line of a file of prompts lacks. */
export interface PromptDefaults {
  readonly model?: string | undefined
  readonly temperature?: number | undefined
  readonly parameters?: { readonly [name: string]: Identity.Json } | undefined
  /** @default 1 */
  readonly count?: number | undefined
}

/** A key, and the samples that it is to have: so many from position 0, or those at some positions. */
export interface Wanted {
  readonly key: Key
  readonly samples: number | ReadonlyArray<number>
}

/** The texts in a file of prompts: a JSON text a line, or an object with a `prompt`. */
export const promptsOf = (file: string): Stream.Stream<string, ImportError> =>
  Stream.map(promptLines(file), ({ prompt }) => prompt)

/** The keys in a file of prompts. Its objects may also have `model`, `temperature`, `parameters`, `fork` and `count`. */
export const wantedOf = (file: string, defaults: PromptDefaults): Stream.Stream<Wanted, ImportError> =>
  Stream.mapEffect(
    promptLines(file),
    Effect.fnUntraced(function*({ fields, prompt, where }) {
      const refuse = (why: string) => new ImportError({ file, description: `${where}: ${why}` })
      const { count = defaults.count ?? 1, fork = [], model = defaults.model } = fields
      if (typeof model !== "string") return yield* refuse("it names no `model`: add one, or give --model")
      const wanted = asCount(count)
      if (wanted === undefined) return yield* refuse("`count` has to be a whole number")
      const path = asArray(fork).filter((name) => typeof name === "string")
      if (!Array.isArray(fork) || path.length < fork.length) return yield* refuse("`fork` has to be a list of names")
      const identity = yield* Effect.mapError(
        Identity.make({
          model,
          temperature: (fields["temperature"] ?? defaults.temperature) as number | undefined,
          parameters: (fields["parameters"] ?? defaults.parameters) as
            | { readonly [name: string]: Identity.Json }
            | undefined
        }),
        ({ description }) => refuse(description)
      )
      return { key: new Key(identity, prompt, path), samples: wanted }
    })
  )

const promptLines = (file: string) =>
  Stream.mapEffect(linesOf(file), (line) => {
    const value = line.kind === "damaged" ? undefined : parseJson(line.text)
    const fields = isObject(value) ? value : {}
    const prompt = typeof value === "string" ? value : fields["prompt"]
    return typeof prompt === "string"
      ? Effect.succeed({ where: line.where, fields, prompt })
      : new ImportError({
        file,
        description: `${line.where}: ${
          line.kind === "damaged" ? line.reason : "it is no JSON text, and no JSON object with a `prompt`"
        }`
      })
  })
