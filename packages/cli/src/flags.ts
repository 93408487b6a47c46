/** Flags and arguments that commands share. */
import * as Argument from "effect/cli/Argument"
import * as Flag from "effect/cli/Flag"
import * as GlobalFlag from "effect/cli/GlobalFlag"
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"

const kinds = "a directory, a file x.db, postgres://…, or redis://…"

/** `--json`, for every command. `Output` knows whether it is given. */
export const Json = GlobalFlag.Setting("json")({
  flag: Flag.Boolean("json").pipe(
    Flag.withoutNegation,
    Flag.withDefault(false),
    Flag.withDescription("Write one JSON object a line")
  )
})

/** `--cache`, the cache that a command reads or changes. Give it to `openCache`. */
export const cache = Flag.String("cache").pipe(
  Flag.withFallbackConfig(Config.NonEmptyString("LLM_CACHE_DIRECTORY")),
  Flag.withDefault("~/.llm_cache"),
  Flag.withMetavar("CACHE"),
  Flag.withDescription(`The cache: ${kinds} (default: LLM_CACHE_DIRECTORY, or else ~/.llm_cache)`)
)

/** The flag that a later command needs to read the same cache. The URL of a server may have a password, and is left out. */
export const sameCache = (cache: string): Effect.Effect<string> =>
  Effect.map(
    Effect.orElseSucceed(Config.NonEmptyString("LLM_CACHE_DIRECTORY"), () => "~/.llm_cache"),
    (usual) =>
      cache === usual
        ? ""
        : ` --cache ${
          /:\/\//.test(cache) ? "…" : /^[\w./~:@+-]+$/.test(cache) ? cache : `'${cache.replaceAll("'", "'\\''")}'`
        }`
  )

/** A cache as an argument, such as FROM or TO. */
export const cacheArgument = (name: string, description: string) =>
  Argument.String(name).pipe(Argument.withDescription(`${description}: ${kinds}`))

/** `--yes`, for commands that delete: without it they only show the samples. */
export const yes = Flag.Boolean("yes").pipe(
  Flag.withoutNegation,
  Flag.withDefault(false),
  Flag.withDescription("Do it. Without this flag, the command only shows what it would do")
)

/** `--tokens`, for a listing of models. */
export const tokens = Flag.Boolean("tokens").pipe(
  Flag.withoutNegation,
  Flag.withDefault(false),
  Flag.withDescription("Read every sample of a large directory, for its tokens")
)

/** `--skip-damaged`, for transfers. */
export const skipDamaged = Flag.Boolean("skip-damaged").pipe(
  Flag.withoutNegation,
  Flag.withDefault(false),
  Flag.withDescription("Leave out samples that are damaged, and tell of them, instead of failing")
)

/** The parts of a selection. Give their values to `selectionOf`. */
export const selection = {
  select: Argument.String("selection").pipe(
    Argument.variadic(),
    Argument.withDescription(
      "What is selected: models (a glob), prompts (the first 4 or more digits of their hash), positions (@3 or @0-9)"
    )
  ),
  fork: Flag.String("fork").pipe(
    Flag.optional,
    Flag.withMetavar("GLOB"),
    Flag.withDescription("Only these forks, such as 'trial-*'; '' selects samples outside of forks")
  ),
  grep: Flag.String("grep").pipe(
    Flag.optional,
    Flag.withMetavar("REGEX"),
    Flag.withDescription("Only prompts that match this regular expression")
  )
}
