import * as Explain from "@llm-cache/core/Explain"
import type { Json } from "@llm-cache/core/Identity"
import { Key } from "@llm-cache/core/Key"
import type { Store } from "@llm-cache/core/SampleStore"
import * as Trace from "@llm-cache/core/Trace"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { openCache } from "../cache/openCache.ts"
import { UsageError } from "../errors.ts"
import * as flags from "../flags.ts"
import { wholeText } from "../import/files.ts"
import { isObject, parseJson } from "../import/json.ts"
import { makeIdentity } from "../import/resolve.ts"
import { identityFields, keyFields } from "../output/fields.ts"
import { plural } from "../output/format.ts"
import { Output } from "../output/Output.ts"
import { printable } from "../output/printable.ts"
import { findRun, runArgument } from "../run/findRun.ts"

export const command = Command.make(
  "why-miss",
  {
    run: runArgument.pipe(Argument.optional),
    prompt: Flag.String("prompt").pipe(
      Flag.optional,
      Flag.withMetavar("FILE"),
      Flag.withDescription("Explain this prompt, without a trace")
    ),
    model: Flag.String("model").pipe(Flag.optional, Flag.withDescription("The model that is asked")),
    temperature: Flag.Finite("temperature").pipe(Flag.optional, Flag.withDescription("Its temperature")),
    parameters: Flag.String("parameters").pipe(
      Flag.optional,
      Flag.withMetavar("JSON"),
      Flag.withDescription("Its other parameters, `system` among them")
    ),
    fork: Flag.String("fork").pipe(
      Flag.atLeast(0),
      Flag.withDescription("A fork; several from the outermost to the innermost")
    ),
    position: Flag.Int("position").pipe(
      Flag.withDefault(0),
      Flag.withDescription("The position that is asked (default: 0)")
    ),
    limit: Flag.Int("limit").pipe(
      Flag.withDefault(20),
      Flag.withDescription("The most misses of a run that are explained (default: 20)")
    ),
    cache: flags.cache
  },
  Effect.fnUntraced(function*(input) {
    const { cache, limit, prompt, run } = input
    if (Option.isSome(run) === Option.isSome(prompt)) {
      return yield* new UsageError({ message: "say what to explain: a run, or --prompt FILE with --model MODEL" })
    }
    const found = Option.isSome(run) ? yield* findRun(cache, run.value) : undefined
    const store = yield* openCache(cache, "read")
    if (found === undefined) return yield* explainPrompt(store, { ...input, prompt: Option.getOrThrow(prompt) })
    const output = yield* Output
    const { asked } = yield* Trace.receipt(found.file)
    const misses = yield* Explain.misses(store, found.file)
    if (misses.length === 0) return yield* output.note(`no request of ${found.id} missed`)
    const first = misses.filter(({ from }) => from === undefined)
    const follow = misses.length - first.length
    const missed = `${first.length} of ${plural(asked, "request")} missed`
    yield* output.note(
      follow === 0
        ? missed
        : `${missed}, and ${follow} ${follow === 1 ? "follows" : "follow"} from ${first.length === 1 ? "it" : "them"}`
    )
    for (const miss of first.slice(0, limit)) {
      yield* tell(yield* Explain.miss(store, miss), miss.follows, `Request ${miss.number}: `)
    }
    if (first.length > limit) yield* output.note(`${first.length - limit} more misses: give --limit ${first.length}`)
  })
).pipe(
  Command.withDescription("Explains why a replication missed"),
  Command.withExamples([
    { command: "llm-cache why-miss last", description: "The misses of the last run, which needs a trace" },
    {
      command: "llm-cache why-miss --prompt prompt.txt --model gpt-4o --temperature 1",
      description: "A prompt, without a trace"
    }
  ])
)

const explainPrompt = Effect.fnUntraced(function*(
  store: Store,
  input: {
    readonly prompt: string
    readonly model: Option.Option<string>
    readonly temperature: Option.Option<number>
    readonly parameters: Option.Option<string>
    readonly fork: ReadonlyArray<string>
    readonly position: number
  }
) {
  const output = yield* Output
  const { fork: path, model, position } = input
  const parameters = parseJson(Option.getOrElse(input.parameters, () => "{}"))
  if (!isObject(parameters)) return yield* new UsageError({ message: "--parameters has to be a JSON object" })
  if (Option.isNone(model)) {
    return yield* new UsageError({ message: "--prompt needs the model that is asked: --model MODEL" })
  }
  const identity = yield* makeIdentity({
    model: model.value,
    temperature: Option.getOrUndefined(input.temperature),
    parameters: parameters as { readonly [name: string]: Json }
  })
  const text = yield* wholeText(input.prompt)
  // Editors end a file with a line feed.
  const { promptHash } = new Key(identity, text, path)
  const isStored = Option.isSome(yield* Stream.runHead(store.keys({ promptHash })))
  const prompt = isStored ? text : text.replace(/\n$/, "")
  const key = new Key(identity, prompt, path)
  if ((yield* store.positions(key)).includes(position)) {
    return yield* output.note(
      `prompt ${key.promptHash.slice(0, 8)} has a sample at position ${position}: it does not miss`
    )
  }
  yield* tell(yield* Explain.miss(store, { identity, prompt, path, position }), 0, "")
})

const tell = Effect.fnUntraced(function*(explanation: Explain.Explanation, follows: number, title: string) {
  const output = yield* Output
  yield* output.found
  if (output.isTerminal) {
    return yield* output.data(`${title}${printable(Explain.format(explanation), { lines: true })}\n`)
  }
  const { identity, path, position, prompt, verdict } = explanation
  const key = keyFields(new Key(identity, prompt, path))
  const row = { verdict, ...key, position, follows, nearest: null, differences: [], ...detailsOf(explanation) }
  yield* output.rows<object, never, never>([], Stream.succeed(row))
})

const detailsOf = (explanation: Explain.Explanation): object => {
  switch (explanation.verdict) {
    case "exhausted":
      return { present: explanation.present }
    case "otherFork":
      return { forks: explanation.forks.map(({ path, samples }) => ({ fork: path, samples })) }
    case "otherIdentity": {
      const identities = explanation.identities.map(({ identity, ...others }) => ({
        ...identityFields(identity),
        ...others
      }))
      return { differences: identities[0]?.differences ?? [], identities }
    }
    case "follows":
      return { from: explanation.from }
    case "near":
      return { nearest: explanation.nearest, differences: explanation.differences, compared: explanation.compared }
    case "unknown":
      return { identities: explanation.identities.map(identityFields), compared: explanation.compared }
  }
}
