import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as Fs from "node:fs"
import { openCache } from "../cache/openCache.ts"
import { ConflictError, UsageError } from "../errors.ts"
import { promptsOf } from "../exchange/prompts.ts"
import { report } from "../exchange/report.ts"
import * as flags from "../flags.ts"
import { importFile } from "../import/importFile.ts"

export const command = Command.make(
  "import",
  {
    file: Argument.String("file").pipe(
      Argument.withDescription(
        "An export of llm-cache, answers of a batch, HAR, a cassette of vcrpy, a cache of promptfoo, a log of Inspect, " +
          "logs.db of llm, or a folder of the Python original. Its content decides"
      )
    ),
    cache: flags.cache,
    requests: Flag.String("requests").pipe(
      Flag.optional,
      Flag.withMetavar("FILE"),
      Flag.withDescription("The requests that were sent, if FILE has the answers of a batch")
    ),
    prompts: Flag.String("prompts").pipe(
      Flag.optional,
      Flag.withMetavar("FILE"),
      Flag.withDescription("Prompts of the Python original, which keeps only their hashes: a JSON text a line")
    )
  },
  Effect.fnUntraced(function*(input) {
    if (!Fs.existsSync(input.file)) return yield* new UsageError({ message: `there is no file ${input.file}` })
    const prompts = Option.isNone(input.prompts) ? [] : yield* Stream.runCollect(promptsOf(input.prompts.value))
    const store = yield* openCache(input.cache, "write")
    yield* report((options) =>
      importFile(store, input.file, { ...options, prompts, requests: Option.getOrUndefined(input.requests) })
    ).pipe(
      Effect.catchTag("SampleConflict", (error) => {
        const { key, position } = error
        return new ConflictError({
          message:
            `position ${position} of prompt ${key.promptHash.slice(0, 8)} has another sample in ${store.id}: import ` +
            "the file into an empty cache, and see `llm-cache merge --help`"
        })
      })
    )
  })
).pipe(
  Command.withDescription("Puts the samples of other programs into a cache, each once"),
  Command.withExamples([
    { command: "llm-cache import samples.jsonl --cache copy.db", description: "An export" },
    { command: "llm-cache import traffic.har", description: "What a browser or a proxy recorded" }
  ])
)
