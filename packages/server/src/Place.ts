/**
 * The place of a request: the run, the layers and the fork that a program in any language names by its base URL, or by the
 * header `llm-cache-place`.
 *
 * **Details**
 *
 * `place = *( /run/NAME | /independent | /repeatable/NAME | /fork/NAME | /replication )`, the layers in the order of a path, the
 * outermost last. Names are percent-encoded, and of 1 to 200 bytes. `independent` needs a run before it. A `repeatable` behind
 * `independent` is an attempt: it repeats its own draws. Without `independent` everything repeats already.
 *
 * **Example** (A worker's place in an attempt of a run)
 *
 * ```ts
 * import { Place } from "@llm-cache/server"
 *
 * const place = Place.parse("/run/monday/independent/repeatable/attempt-3/fork/worker-7")
 * ```
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"
import * as Result from "effect/Result"

/**
 * A place.
 *
 * @category models
 * @since 0.1.0
 */
export interface Place {
  readonly run: string | undefined
  /** Whether each draw of the run is a new sample. */
  readonly independent: boolean
  /** The attempt that repeats its own draws: the names behind `repeatable`, the outermost last. */
  readonly attempt: ReadonlyArray<string>
  /** The names of the forks, the outermost first. */
  readonly forks: ReadonlyArray<string>
  /** Whether nothing may be requested. */
  readonly replication: boolean
}

/**
 * A path or header names no place.
 *
 * @category errors
 * @since 0.1.0
 */
export class BadPlace extends Data.TaggedError("BadPlace")<{ readonly description: string }> {
  override get message(): string {
    return this.description
  }
}

/**
 * The place of a base URL without any.
 *
 * @category models
 * @since 0.1.0
 */
export const root: Place = { run: undefined, independent: false, attempt: [], forks: [], replication: false }

/**
 * Reads a whole path as a place, beneath another one.
 *
 * @category parsing
 * @since 0.1.0
 */
export const parse = (path: string, beneath: Place = root): Result.Result<Place, BadPlace> =>
  Result.flatMap(split(path, beneath), ({ place, rest }) =>
    rest === "" || rest === "/"
      ? Result.succeed(place)
      : fail(
        `\`${
          shorten(rest)
        }\` is no layer: give \`/run/NAME\`, \`/independent\`, \`/repeatable/NAME\`, \`/fork/NAME\` ` +
          "or `/replication`"
      ))

/**
 * Reads the place at the start of a path, and returns the rest of the path.
 *
 * @category parsing
 * @since 0.1.0
 */
export const split = (
  path: string,
  beneath: Place = root
): Result.Result<{ readonly place: Place; readonly rest: string }, BadPlace> => {
  const segments = path.split("/")
  const place = { ...beneath, attempt: [...beneath.attempt], forks: [...beneath.forks] }
  let i = segments[0] === "" ? 1 : 0
  for (; i < segments.length; i++) {
    const layer = segments[i]!
    if (layer === "independent") {
      if (place.run === undefined) {
        return fail("`independent` needs a run, so that draws are told apart: put `/run/NAME` before it")
      }
      place.independent = true
      continue
    }
    if (layer === "replication") {
      place.replication = true
      continue
    }
    if (layer !== "run" && layer !== "repeatable" && layer !== "fork") break
    const name = decodeName(layer, segments[++i])
    if (Result.isFailure(name)) return Result.fail(name.failure)
    if (layer === "fork") place.forks.push(name.success)
    else if (layer === "repeatable") {
      if (place.independent) place.attempt.push(name.success)
    } else if (place.run === undefined) place.run = name.success
    else return fail(`the place has the runs \`${place.run}\` and \`${name.success}\`: name one`)
  }
  return Result.succeed({ place, rest: i < segments.length ? `/${segments.slice(i).join("/")}` : "" })
}

/**
 * The path of a place, with each layer in it once.
 *
 * @category formatting
 * @since 0.1.0
 */
export const format = ({ attempt, forks, independent, replication, run }: Place): string =>
  [
    ...run === undefined ? [] : ["run", run],
    ...replication ? ["replication"] : [],
    ...independent ? ["independent"] : [],
    ...attempt.flatMap((name) => ["repeatable", name]),
    ...forks.flatMap((name) => ["fork", name])
  ].map((segment) => `/${encodeURIComponent(segment)}`).join("")

/** The longest name, in bytes of UTF-8. */
const longestName = 200

const decodeName = (layer: string, encoded: string | undefined): Result.Result<string, BadPlace> => {
  const advice = `give \`/${layer}/NAME\`, the name percent-encoded`
  if (encoded === undefined || encoded === "") return fail(`\`${layer}\` has no name: ${advice}`)
  // In a header, such characters would be those of another encoding, or of two headers that Node joins.
  if (/[^!-~]/.test(encoded)) return fail(`the name \`${shorten(encoded)}\` of \`${layer}\` is not encoded: ${advice}`)
  let name: string
  try {
    name = decodeURIComponent(encoded)
  } catch {
    return fail(`the name \`${shorten(encoded)}\` of \`${layer}\` is no percent-encoded UTF-8: ${advice}`)
  }
  const bytes = Buffer.byteLength(name)
  return bytes > longestName
    ? fail(`a name of \`${layer}\` has ${bytes} bytes: give one of at most ${longestName}`)
    : !name.isWellFormed()
    ? fail(`a name of \`${layer}\` has a lone surrogate: give well-formed Unicode`)
    : Result.succeed(name)
}

const shorten = (text: string): string => text.length > 60 ? `${text.slice(0, 60)}…` : text

const fail = (description: string) => Result.fail(new BadPlace({ description }))
