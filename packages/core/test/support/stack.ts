import {
  DirectoryStore,
  Independent,
  LlmModel,
  Persistent,
  Repeatable,
  type SampleError,
  SampleStore
} from "@llm-cache/core"
import * as Audit from "@llm-cache/core/Audit"
import { Effect, Layer, Schema, Stream } from "effect"
import * as Path from "node:path"
import { using } from "./provider.ts"

/** A nesting of combinators over a provider, the outermost first. */
export const Combinator = Schema.Literals(["Independent", "Repeatable", "Persistent"])
export type Combinator = typeof Combinator.Type

export const Stack = Schema.Array(Combinator).check(Schema.isMaxLength(4))

export const count = (minimum: number, maximum: number) => Schema.Int.check(Schema.isBetween({ minimum, maximum }))

/** Some samples of a prompt, taken at a level of the stack (modulo its height), in one run. */
export const Take = Schema.Struct({
  prompt: Schema.Literals(["a", "b"]),
  n: count(1, 4),
  batch: count(1, 5),
  level: count(0, 4)
})
export type Take = typeof Take.Type
export const Takes = Schema.Array(Take).check(Schema.isMaxLength(8))

/** A directory as a store. */
export const directoryStore = (root: string, options?: DirectoryStore.Options) =>
  Effect.provide(SampleStore.SampleStore, DirectoryStore.layer(root, options))

/** An audit that, when its scope closes, dies if an Independent handed out a sample twice. */
const checkedAudit = Effect.acquireRelease(Audit.make, ({ check }) => Effect.orDie(check))

const unwatched: Pick<Audit.Audit["Service"], "watch"> = { watch: (model) => model }

/** `Independent.layer`, watched: a program that gets a sample twice from it dies. */
export const watchedIndependent = Layer.fresh(
  Layer.provideMerge(Audit.watch(Independent.layer, "Independent"), Layer.effect(Audit.Audit, checkedAudit))
)

/** The numbers of samples and of positions that `watchedIndependent` handed out, by fork and prompt. */
export const handedOut = Effect.map(
  Audit.report,
  (report) =>
    Object.fromEntries(report.map((row) => [[...row.path, row.prompt].join("/"), [row.handedOut, row.distinct]]))
)

/**
 * A stack of models over a source, with a store for each height: the models, the outermost first and the source last. It
 * is watched by an audit, and then draws each sample; otherwise it also peeks at samples at hand.
 */
export const buildOver = Effect.fnUntraced(
  function*(
    stack: ReadonlyArray<Combinator>,
    source: LlmModel.Model,
    storeAt: (height: number) => Effect.Effect<SampleStore.Store, SampleError.StoreError>,
    isWatched = true
  ) {
    const { watch } = isWatched ? yield* checkedAudit : unwatched
    const models = [watch(source, "source")]
    for (const [height, combinator] of stack.toReversed().entries()) {
      const beneath = models[0]!
      const model = combinator === "Independent"
        ? yield* Independent.make(beneath)
        : combinator === "Repeatable"
        ? yield* Repeatable.make(beneath)
        : yield* Persistent.make(beneath, yield* storeAt(height))
      models.unshift(watch(model, `${combinator} ${height}`))
    }
    return models
  }
)

/** The same, with directories below a root. They force nothing: programs end in a known number of steps, and soon. */
export const build = (stack: ReadonlyArray<Combinator>, source: LlmModel.Model, root: string, isWatched = true) =>
  buildOver(
    stack,
    source,
    (height) => directoryStore(Path.join(root, String(height)), { durability: "process" }),
    isWatched
  )

/** The two ways to a sample: by draws, which an audit watches, and by samples at hand. */
export const ways = [["by draws", true], ["by samples at hand", false]] as const

export const take = (model: LlmModel.Model, { batch, n, prompt }: Omit<Take, "level">) =>
  Stream.runCollect(Stream.take(LlmModel.sample(prompt, { batch }), n)).pipe(using(model))

/** The longest common prefix of two runs is the whole of the shorter one. */
export const agree = (a: ReadonlyArray<string>, b: ReadonlyArray<string>): boolean =>
  a.slice(0, b.length).join("\n") === b.slice(0, a.length).join("\n")

export const allDifferent = (texts: ReadonlyArray<string>): boolean => new Set(texts).size === texts.length
