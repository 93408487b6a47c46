import type { Json } from "@llm-cache/core/Identity"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as Fs from "node:fs"
import { openCache } from "../cache/openCache.ts"
import { UsageError } from "../errors.ts"
import { makeBatch } from "../exchange/makeBatch.ts"
import { wantedOf } from "../exchange/prompts.ts"
import { report } from "../exchange/report.ts"
import * as flags from "../flags.ts"
import { importBatch } from "../import/importFile.ts"
import { isObject, parseJson } from "../import/json.ts"
import { findRun } from "../run/findRun.ts"
import { missedSamples } from "../run/missedSamples.ts"

const make = Command.make(
  "make",
  {
    file: Argument.String("file").pipe(Argument.withDescription("The batch file that is written, beside FILE.keys")),
    run: Flag.String("run").pipe(
      Flag.optional,
      Flag.withDescription("The run with the misses that are requested: its name, or `last`")
    ),
    prompts: Flag.String("prompts").pipe(
      Flag.optional,
      Flag.withMetavar("FILE"),
      Flag.withDescription("A JSON text a line, or an object with prompt, model, temperature, parameters, fork, count")
    ),
    model: Flag.String("model").pipe(Flag.optional, Flag.withDescription("The model of prompts without one")),
    temperature: Flag.Finite("temperature").pipe(
      Flag.optional,
      Flag.withDescription("The temperature of prompts without one")
    ),
    parameters: Flag.String("parameters").pipe(
      Flag.optional,
      Flag.withMetavar("JSON"),
      Flag.withDescription(
        "The parameters of prompts without them, such as '{\"max_tokens\":100,\"system\":\"Be brief.\"}'"
      )
    ),
    count: Flag.Int("count").pipe(
      Flag.withDefault(1),
      Flag.withDescription("How many samples prompts without a count are to have (default: 1)")
    ),
    anthropic: Flag.Boolean("anthropic").pipe(
      Flag.withoutNegation,
      Flag.withDefault(false),
      Flag.withDescription("Write Anthropic's form, not OpenAI's")
    ),
    as: Flag.String("as").pipe(
      Flag.optional,
      Flag.withMetavar("MODEL"),
      Flag.withDescription("The provider's name of the model, if the cache has an alias for it")
    ),
    cache: flags.cache
  },
  Effect.fnUntraced(function*(input) {
    const parameters = parseJson(Option.getOrElse(input.parameters, () => "{}"))
    if (!isObject(parameters)) return yield* new UsageError({ message: "--parameters has to be a JSON object" })
    if (!(input.count >= 0)) return yield* new UsageError({ message: "--count has to be at least 0" })
    if (Option.isSome(input.run) === Option.isSome(input.prompts)) {
      return yield* new UsageError({ message: "say what to request: --run RUN or --prompts FILE" })
    }
    const store = yield* openCache(input.cache, "write")
    const options = {
      file: input.file,
      protocol: input.anthropic ? "messages" : "chat",
      model: Option.getOrUndefined(input.as)
    } as const
    if (Option.isSome(input.run)) {
      const missed = yield* missedSamples(store, yield* findRun(input.cache, input.run.value))
      const wanted = missed.map(({ key, positions }) => ({ key, samples: positions }))
      return yield* makeBatch(store, Stream.fromIterable(wanted), options)
    }
    const wanted = wantedOf(Option.getOrThrow(input.prompts), {
      model: Option.getOrUndefined(input.model),
      temperature: Option.getOrUndefined(input.temperature),
      parameters: parameters as { readonly [name: string]: Json },
      count: input.count
    })
    yield* makeBatch(store, wanted, options)
  })
).pipe(
  Command.withDescription("Writes a batch file with the requests for samples that the cache lacks"),
  Command.withExamples([
    { command: "llm-cache batch make batch.jsonl --run last", description: "The misses of the last run" },
    {
      command: "llm-cache batch make batch.jsonl --prompts prompts.jsonl --model gpt-4o --temperature 1 --count 20",
      description: "Twenty samples of each prompt"
    }
  ])
)

const read = Command.make(
  "import",
  {
    answers: Argument.String("answers").pipe(
      Argument.variadic({ min: 1 }),
      Argument.withDescription("The files that the provider gives: its answers, and its errors")
    ),
    requests: Flag.String("requests").pipe(
      Flag.withMetavar("FILE"),
      Flag.withDescription("The batch file that was sent")
    ),
    cache: flags.cache
  },
  Effect.fnUntraced(function*({ answers, cache, requests }) {
    const missing = [...answers, requests].find((file) => !Fs.existsSync(file))
    if (missing !== undefined) return yield* new UsageError({ message: `there is no file ${missing}` })
    const store = yield* openCache(cache, "write")
    yield* report((options) => importBatch(store, answers, requests, options))
  })
).pipe(
  Command.withDescription("Puts the answers of a batch into a cache, each once"),
  Command.withExamples([{
    command: "llm-cache batch import output.jsonl errors.jsonl --requests batch.jsonl",
    description: "The answers and the errors of a batch"
  }])
)

export const command = Command.make("batch").pipe(
  Command.withDescription("Fills a cache by the batch endpoint of a provider, at half the price"),
  Command.withSubcommands([make, read])
)
